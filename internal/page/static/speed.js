// How fast something is, over the last seconds: long enough to be calm, short enough to be true.

const WINDOW = 5000; // ms

export class Speed {
	#seen = [];

	// at notes how many bytes there are now and returns bytes per second, or 0 while that is not known.
	at(bytes, now = performance.now()) {
		this.#seen.push([now, bytes]);
		while (this.#seen.length > 2 && now - this.#seen[0][0] > WINDOW) this.#seen.shift();
		const [then, before] = this.#seen[0];
		return now - then < 300 ? 0 : Math.max(0, bytes - before) * 1000 / (now - then);
	}

	reset() {
		this.#seen = [];
	}
}
