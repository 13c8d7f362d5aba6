// One upload as the page shows it.

import { Speed } from './speed.js';
import { left, size } from './words.js';

const template = document.getElementById('upload-row');

export class Row {
	// Actions are pause, resume, cancel and choose: what the buttons do.
	constructor(name, bytes, actions) {
		this.element = template.content.cloneNode(true).firstElementChild;
		const find = (selector) => this.element.querySelector(selector);
		[this.title, this.bar, this.percent, this.says, this.pause, this.again, this.cancel] =
			['h3', 'progress', '.percent', '.says', '.pause', '.again', '.cancel'].map(find);
		this.bytes = bytes;
		this.speed = new Speed();
		this.title.textContent = this.title.title = name;
		find('.size').textContent = size(bytes);
		this.bar.setAttribute('aria-label', `Upload of ${name}`);
		this.again.setAttribute('aria-label', `Choose the file ${name}`);
		this.cancel.setAttribute('aria-label', `Cancel ${name}`);
		this.pause.onclick = () => (this.running ? actions.pause() : actions.resume());
		this.again.onclick = () => actions.choose();
		this.cancel.onclick = () => actions.cancel();
		this.name = name;
	}

	// is shows a state: what is said about it, whether it runs, and what the first button is called.
	is(text, { running = true, bad = false, button = running ? 'Pause' : 'Resume' } = {}) {
		this.running = running;
		this.speed.reset();
		this.element.classList.toggle('paused', !running);
		this.says.classList.toggle('bad', bad);
		this.says.textContent = text;
		this.pause.textContent = button;
		this.pause.setAttribute('aria-label', `${button} ${this.name}`);
	}

	// moved shows how far it is, and how fast while it runs.
	moved(bytes) {
		this.part = this.bytes ? bytes / this.bytes : 0;
		this.bar.value = this.part;
		this.percent.textContent = `${Math.floor(this.part * 100)} %`;
		if (!this.running) return;
		const speed = this.speed.at(bytes);
		if (bytes >= this.bytes) this.says.textContent = 'Being stored';
		else if (speed) this.says.textContent = `${size(Math.round(speed))}/s · ${left((this.bytes - bytes) / speed)}`;
	}

	waits() {
		this.is('Waiting for its turn');
		this.#offer(this.cancel);
	}

	// lacksFile asks for the file itself, which no browser keeps across a reload.
	lacksFile() {
		this.is('Interrupted. Choose the file again to go on.', { running: false });
		this.#offer(this.again, this.cancel);
	}

	hasFile() {
		this.#offer(this.pause, this.cancel);
	}

	// elsewhere shows what another tab carries, and has the buttons for.
	elsewhere() {
		this.is('Under way in another tab or window.', { running: false });
		this.element.classList.remove('paused');
		this.#offer();
	}

	#offer(...buttons) {
		for (const button of [this.pause, this.again, this.cancel]) button.hidden = !buttons.includes(button);
	}
}
