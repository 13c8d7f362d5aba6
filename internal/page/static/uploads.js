// The queue of uploads: what was chosen or dropped waits its turn, is sent by tus, and becomes a job in the list.

import { fingerprint, forget, recall, recallAll, remember } from './memory.js';
import { say, warn } from './say.js';
import { carry, onTold, tell } from './tabs.js';
import { Upload, discard, exists, isGone, offset } from './tus.js';
import { Row } from './uploadrow.js';
import { refusal, sentence, size } from './words.js';

const AT_ONCE = 2; // more would only make each slower
const ENDPOINT = '/uploads/';

const section = document.getElementById('uploads');
const list = document.getElementById('uploads-list');
const form = document.getElementById('add');
const title = document.title;

// Item is one file on its way: elsewhere, interrupted, waiting, running, paused, stopped, over.
class Item {
	constructor(queue, key, name, bytes) {
		Object.assign(this, { queue, key, name, bytes, sent: 0 });
		this.row = new Row(name, bytes, {
			pause: () => this.pause(), resume: () => this.resume(), cancel: () => this.cancel(), choose: () => document.getElementById('file').click(),
		});
		list.append(this.row.element);
		this.row.moved(0);
		this.row.waits();
	}

	// claim has this tab carry the upload as soon as no other does: with its file, or else by asking for it.
	async claim() {
		let elsewhere = false;
		this.claiming = true;
		this.giveUp = await carry(this.key, () => {
			elsewhere = true;
			this.state = 'elsewhere';
			this.row.elsewhere();
			tell(this.key);
		});
		if (this.state === 'over') this.letGo();
		else if (elsewhere && !recall(this.key)) this.leave(); // it has ended there
		else if (!this.upload) await this.interrupted();
		this.claiming = false;
		if (this.upload && this.state !== 'over') this.begin();
	}

	// interrupted asks for the file, unless the server has the upload no more. One that cannot say may have it. Nothing is sent until
	// it has answered: it would take the question for a sign that what is sent is broken off.
	async interrupted() {
		this.state = 'interrupted';
		this.row.lacksFile();
		const { url, creation } = recall(this.key) ?? {}; // nothing, if it has ended elsewhere just now
		const none = creation ? 0 : this.bytes;
		const sent = url ? await offset(url).catch((e) => (isGone(e) ? this.bytes : 0)) : none;
		if (this.upload || this.state === 'over') return; // it has been chosen by now, or cancelled
		if (sent >= this.bytes) return this.leave();
		this.row.moved(sent);
		this.letGo();
	}

	letGo() {
		this.giveUp?.();
		this.giveUp = undefined;
	}

	// give takes the file, if it is not there.
	give(file, profile) {
		if (this.upload) return;
		this.known = { name: this.name, size: this.bytes, profile };
		this.upload = new Upload(file, ENDPOINT, { filename: file.name, filetype: file.type || 'application/octet-stream', profile, user: this.queue.user }, {
			creating: (creation) => remember(this.key, { creation, ...this.known }), // even if the answer never comes
			created: (url) => remember(this.key, { url, ...this.known }),
			moved: (bytes) => this.moved(bytes),
			broken: (error, wait) => this.broken(error, wait),
			resumed: () => { this.row.is('Going on'); say(`The upload of ${this.name} goes on`); this.said = false; },
		});
		if (this.state !== 'elsewhere') this.row.waits();
		if (!this.claiming) this.claim();
	}

	// begin begins, or goes on where an earlier upload of the same file has stopped.
	begin() {
		if (!recall(this.key)) remember(this.key, this.known);
		this.upload.url = recall(this.key)?.url;
		this.upload.key = recall(this.key)?.creation;
		this.row.hasFile();
		tell(this.key, this.sent);
		this.resume();
	}

	moved(bytes) {
		this.sent = bytes;
		this.row.moved(bytes);
		this.queue.tell();
		tell(this.key, bytes);
	}

	broken(error, wait) {
		const why = error.message === 'no connection' ? 'The connection is lost' : sentence(error.message).slice(0, -1);
		this.row.is(`${why}. Trying again${wait >= 2 ? ` in ${Math.round(wait)} s` : ''}.`);
		if (!this.said) say(`The upload of ${this.name} was interrupted and is tried again`);
		this.said = true;
	}

	async run() {
		this.state = 'running';
		this.row.is('Starting');
		try {
			await this.upload.run();
			this.end();
		} catch (e) {
			if (e.name === 'AbortError') return;
			if (isGone(e)) await this.gone();
			else this.refused(e);
		}
	}

	// gone: the server has no such upload any more. Either its job is there, and only the answer was lost, or it has run out.
	async gone() {
		const id = this.id();
		try {
			if (id && await exists(`/jobs/${id}`)) return this.end(id);
		} catch (e) {
			return this.refused(e); // and asked again by the next try
		}
		this.upload.url = undefined;
		if (this.restarted) return this.refused(new Error('the server lost the upload'));
		this.restarted = true;
		await this.run();
	}

	refused(e) {
		this.state = 'stopped';
		const text = refusal(e.status, e.message);
		this.row.is(text, { running: false, bad: true, button: 'Try again' });
		say(`${this.name} was not uploaded. ${text}`);
	}

	pause() {
		this.state = 'paused';
		this.upload.stop();
		this.row.is('Paused', { running: false });
		this.queue.go();
	}

	resume() {
		this.state = 'waiting';
		this.row.is('Waiting for its turn');
		this.queue.go();
	}

	cancel() {
		const url = this.upload?.url ?? recall(this.key)?.url;
		this.upload?.stop();
		if (url) discard(url);
		say(`The upload of ${this.name} is cancelled`);
		this.leave();
	}

	end(id = this.id()) {
		say(`${this.name} is uploaded`);
		this.leave();
		this.queue.uploaded(id);
	}

	leave() {
		this.state = 'over';
		forget(this.key);
		this.letGo();
		const focused = this.row.element.contains(document.activeElement);
		const next = this.row.element.nextElementSibling ?? this.row.element.previousElementSibling;
		this.row.element.remove();
		this.queue.drop(this);
		if (focused) (next?.querySelector('h3') ?? document.getElementById('jobs-title')).focus();
	}

	id() {
		return this.upload?.url?.split('/').pop();
	}
}

// Queue sends files, a few at a time, and calls uploaded with the id of each job that comes of them.
export class Queue {
	#items = [];

	constructor(uploaded) {
		this.uploaded = uploaded;
		this.user = form.dataset.user;
		this.max = Number(form.dataset.max);
		onTold((key, sent) => this.#told(this.#find(key), sent));
		addEventListener('beforeunload', (e) => {
			if (this.#items.some((item) => item.state === 'running')) e.preventDefault();
		});
	}

	// recall shows what was begun before, or is under way in another tab.
	recall() {
		for (const [key, { name, size }] of recallAll(this.user)) if (!this.#find(key)) this.#add(key, name, size).claim();
	}

	add(files, profile) {
		warn();
		const tooLarge = [];
		for (const file of files) {
			if (file.size > this.max) {
				tooLarge.push(file.name);
				continue;
			}
			const key = fingerprint(this.user, file);
			(this.#find(key) ?? this.#add(key, file.name, file.size)).give(file, profile);
		}
		if (tooLarge.length) warn(`Larger than ${size(this.max)}, and not uploaded: ${tooLarge.join(', ')}.`);
	}

	go() {
		let free = AT_ONCE - this.#items.filter((item) => item.state === 'running').length;
		for (const item of this.#items) {
			if (free > 0 && item.state === 'waiting') {
				free--;
				item.run().finally(() => this.go());
			}
		}
		this.tell();
	}

	drop(item) {
		this.#items = this.#items.filter((other) => other !== item);
		section.hidden = !this.#items.length;
		this.go();
	}

	// tell shows in the window's title how far all that runs is.
	tell() {
		const running = this.#items.filter((item) => item.state === 'running');
		const sum = (key) => running.reduce((n, item) => n + (item[key] ?? 0), 0);
		document.title = running.length ? `${Math.floor(sum('sent') / sum('bytes') * 100)} % – ${title}` : title;
	}

	// #told shows how far another tab is, even of what was nobody's before, or tells one that asks.
	#told(item, sent) {
		if (item?.state === 'elsewhere' && sent !== undefined) item.row.moved(sent);
		else if (item?.state === 'interrupted' && !item.claiming && sent !== undefined) item.claim(); // that tab has got the file
		else if (item?.giveUp && sent === undefined) tell(item.key, item.sent);
	}

	#find(key) {
		return this.#items.find((item) => item.key === key);
	}

	#add(key, name, size) {
		const item = new Item(this, key, name, size);
		this.#items.push(item);
		section.hidden = false;
		return item;
	}
}
