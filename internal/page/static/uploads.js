// The queue of uploads: what was chosen or dropped waits its turn, is sent by tus, and becomes a job in the list.

import { fingerprint, forget, recall, recallAll, remember } from './memory.js';
import { say, warn } from './say.js';
import { Upload, discard, exists, isGone, offset } from './tus.js';
import { Row } from './uploadrow.js';
import { refusal, sentence, size } from './words.js';

const AT_ONCE = 2; // more would only make each slower
const ENDPOINT = '/uploads/';

const section = document.getElementById('uploads');
const list = document.getElementById('uploads-list');
const form = document.getElementById('add');
const title = document.title;

// Item is one file on its way.
class Item {
	constructor(queue, key, name, bytes) {
		Object.assign(this, { queue, key, name, bytes, state: 'waiting' });
		this.row = new Row(name, bytes, {
			pause: () => this.pause(), resume: () => this.resume(), cancel: () => this.cancel(), choose: () => document.getElementById('file').click(),
		});
		list.append(this.row.element);
		this.row.moved(0);
		this.row.is('Waiting for its turn');
	}

	// give lets the upload begin, or go on where an earlier one of the same file has stopped.
	give(file, profile) {
		this.upload = new Upload(file, ENDPOINT, { filename: file.name, filetype: file.type || 'application/octet-stream', profile, user: this.queue.user }, {
			created: (url) => remember(this.key, { url, name: this.name, size: this.bytes, profile }),
			moved: (bytes) => this.moved(bytes),
			broken: (error, wait) => this.broken(error, wait),
			resumed: () => { this.row.is('Going on'); say(`The upload of ${this.name} goes on`); this.said = false; },
		}, recall(this.key)?.url);
		this.row.again.hidden = true;
		this.row.pause.hidden = false;
		this.resume();
	}

	moved(bytes) {
		this.sent = bytes;
		this.row.moved(bytes);
		this.queue.tell();
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
		addEventListener('beforeunload', (e) => {
			if (this.#items.some((item) => item.state === 'running')) e.preventDefault();
		});
	}

	// recall shows what was interrupted, unless the server has it no more. One that cannot say may have it.
	async recall() {
		await Promise.all(recallAll(this.user).map(async ([key, { url, name, size }]) => {
			const sent = await offset(url).catch((e) => (isGone(e) ? size : 0));
			if (sent >= size) return forget(key);
			if (this.#find(key)) return;
			const item = this.#add(key, name, size);
			item.state = 'stopped';
			item.row.lacksFile();
			item.row.moved(sent);
		}));
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
			const item = this.#find(key) ?? this.#add(key, file.name, file.size);
			if (!item.upload) item.give(file, profile);
		}
		if (tooLarge.length) warn(`Larger than ${size(this.max)}, and not uploaded: ${tooLarge.join(', ')}.`);
	}

	go() {
		let free = AT_ONCE - this.#items.filter((item) => item.state === 'running').length;
		for (const item of this.#items) {
			if (free > 0 && item.state === 'waiting' && item.upload) {
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
