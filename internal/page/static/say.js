// What the page says beside its lists: to those who listen, and to everybody when something is wrong.

const live = document.getElementById('live');
const problem = document.getElementById('problem');

// say has a screen reader say what has happened.
export function say(text) {
	live.textContent = '';
	requestAnimationFrame(() => { live.textContent = text; }); // the same words twice are news twice
}

// warn shows what is wrong until it is called with nothing.
export function warn(text = '') {
	if (problem.textContent !== text) problem.textContent = text;
	problem.hidden = !text;
}
