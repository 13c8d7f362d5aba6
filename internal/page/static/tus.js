// A small client of tus 1.0 (creation, termination): one file, one upload. It knows no page. What is on the server is asked
// of the server after each break, so nothing is sent twice and nothing is left out, whoever has broken off.

const VERSION = '1.0.0';
const PATIENCE = [500, 1000, 2000, 4000, 8000, 15000, 30000]; // ms before another try; the last for ever
const SILENCE = 30000; // ms without a byte on its way: the connection is dead, though nobody has said so

// Refused is an answer that trying again cannot change.
export class Refused extends Error {
	constructor(status, message) {
		super(message);
		this.status = status;
	}
}

// Gone is what a Refused is when there is no such upload on the server (any more).
export const isGone = (e) => e instanceof Refused && (e.status === 404 || e.status === 410);

// random is a key by which the server knows a creation again whose answer was lost.
const random = () => [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

const encode = (text) => btoa(String.fromCharCode(...new TextEncoder().encode(text)));

// Upload sends file to endpoint, or goes on with the one at url, or else with what a creation with the same key has made. Its
// handlers: creating(key), created(url), moved(bytes), broken(error, seconds until the next try), resumed(), ended(). run()
// returns when all is sent, throws Refused, or an AbortError once stop() is called.
export class Upload {
	constructor(file, endpoint, metadata, handlers, url) {
		Object.assign(this, { file, endpoint, metadata, handlers, url });
		this.offset = 0;
	}

	async run() {
		this.stopper = new AbortController();
		for (let failures = 0; ;) {
			try {
				if (!this.url) await this.#create();
				else await this.#ask();
				if (failures) this.handlers.resumed();
				while (this.offset < this.file.size) {
					const before = this.offset;
					await this.#send();
					if (this.offset > before) failures = 0;
				}
				return;
			} catch (e) {
				if (e.name === 'AbortError' || e instanceof Refused) throw e;
				if (e instanceof TypeError) throw new Refused(0, `this browser cannot upload it: ${e.message}`); // no connection is no TypeError here
				const wait = e.after ?? PATIENCE[Math.min(failures++, PATIENCE.length - 1)];
				this.handlers.broken(e, wait / 1000);
				await this.#pause(wait);
			}
		}
	}

	// stop breaks off; run() may be called again.
	stop() {
		this.stopper?.abort();
	}

	// discard stops, and has the server forget what it has got.
	async discard() {
		this.stop();
		if (this.url) await discard(this.url);
	}

	async #create() {
		const metadata = Object.entries(this.metadata).map(([k, v]) => `${k} ${encode(v)}`).join(',');
		this.key ??= random();
		this.handlers.creating(this.key);
		const answer = await this.#request('POST', this.endpoint, {
			'Upload-Length': String(this.file.size), 'Upload-Metadata': metadata, 'Idempotency-Key': this.key,
		});
		this.key = undefined; // the next one is another
		this.url = new URL(answer.headers.get('Location'), location.href).pathname;
		this.offset = 0;
		this.handlers.created(this.url);
	}

	async #ask() {
		const answer = await this.#request('HEAD', this.url, {});
		this.offset = Number(answer.headers.get('Upload-Offset'));
		this.handlers.moved(this.offset);
	}

	async #request(method, url, headers) {
		const breaker = new AbortController(); // AbortSignal.any is too new for some browsers
		const abort = () => breaker.abort();
		const silence = setTimeout(abort, SILENCE);
		this.stopper.signal.addEventListener('abort', abort);
		try {
			const answer = await fetch(url, {
				method, headers: { 'Tus-Resumable': VERSION, Accept: 'application/problem+json', ...headers }, signal: breaker.signal,
			}).catch((e) => { throw this.stopper.signal.aborted ? e : new Error('no connection'); });
			if (!answer.ok) throw refusal(answer.status, answer.headers.get('Retry-After'), await answer.text().catch(() => ''));
			return answer;
		} finally {
			clearTimeout(silence);
			this.stopper.signal.removeEventListener('abort', abort);
		}
	}

	// #send sends the rest by XMLHttpRequest: fetch does not tell how far it is.
	#send() {
		const start = this.offset;
		return new Promise((resolve, reject) => {
			const xhr = new XMLHttpRequest();
			let silence;
			const listen = () => {
				clearTimeout(silence);
				silence = setTimeout(() => xhr.abort(), SILENCE);
			};
			const abort = () => xhr.abort();
			xhr.open('PATCH', this.url);
			xhr.setRequestHeader('Tus-Resumable', VERSION);
			xhr.setRequestHeader('Upload-Offset', String(start));
			xhr.setRequestHeader('Content-Type', 'application/offset+octet-stream');
			xhr.setRequestHeader('Accept', 'application/problem+json');
			xhr.upload.onprogress = (e) => {
				listen();
				this.handlers.moved(start + e.loaded);
			};
			xhr.onloadend = () => {
				clearTimeout(silence);
				this.stopper.signal.removeEventListener('abort', abort);
				if (this.stopper.signal.aborted) reject(new DOMException('stopped', 'AbortError'));
				else if (xhr.status === 204) resolve(this.offset = Number(xhr.getResponseHeader('Upload-Offset')));
				else if (xhr.status === 0) reject(new Error('no connection'));
				else reject(refusal(xhr.status, xhr.getResponseHeader('Retry-After'), xhr.responseText));
			};
			this.stopper.signal.addEventListener('abort', abort);
			listen();
			xhr.send(start ? this.file.slice(start) : this.file);
		});
	}

	// #pause ends early when the browser is online again.
	#pause(ms) {
		return new Promise((resolve, reject) => {
			const end = (then) => () => {
				clearTimeout(timer);
				removeEventListener('online', go);
				this.stopper.signal.removeEventListener('abort', stop);
				then();
			};
			const go = end(resolve);
			const stop = end(() => reject(new DOMException('stopped', 'AbortError')));
			const timer = setTimeout(go, ms);
			addEventListener('online', go);
			this.stopper.signal.addEventListener('abort', stop);
		});
	}
}

// refusal tells what passes from what does not. Whatever says when to ask again passes by itself. 409 is another offset than
// ours and 423 an earlier request of ours that the server still holds on to: asking again settles both.
function refusal(status, after, body) {
	let text = '';
	try {
		text = JSON.parse(body).detail;
	} catch {
		// a proxy's own page
	}
	const passes = after || status >= 500 || [408, 409, 423, 460].includes(status);
	if (!passes) return new Refused(status, text || `the server answered ${status}`);
	const e = new Error(text || 'the server is not available');
	if (after && status !== 423) e.after = Math.min(Number(after) || 5, 60) * 1000;
	return e;
}

// exists reports whether there is something at an address. An answer that says neither, as of a server that is starting or of
// a lost session, is thrown.
export async function exists(url) {
	const answer = await fetch(url, { headers: { Accept: 'application/problem+json' } }).catch(() => { throw new Error('the server cannot be reached'); });
	if (answer.ok) return true;
	const e = refusal(answer.status, answer.headers.get('Retry-After'), await answer.text().catch(() => ''));
	if (isGone(e)) return false;
	throw e;
}

// offset returns how many bytes of an upload the server has.
export async function offset(url) {
	const breaker = new AbortController();
	const silence = setTimeout(() => breaker.abort(), SILENCE);
	const answer = await fetch(url, { method: 'HEAD', headers: { 'Tus-Resumable': VERSION }, signal: breaker.signal }).finally(() => clearTimeout(silence));
	if (!answer.ok) throw new Refused(answer.status, '');
	return Number(answer.headers.get('Upload-Offset'));
}

// discard has the server forget an upload.
export async function discard(url) {
	await fetch(url, { method: 'DELETE', headers: { 'Tus-Resumable': VERSION }, keepalive: true }).catch(() => {});
}
