// What the page can do beyond forms and links: uploads that survive a lost connection, and a list that is live.

import { follow, show } from './jobs.js';
import { Queue } from './uploads.js';

document.documentElement.classList.add('runs'); // only now: scripts that do not come leave the plain page
follow();

const form = document.getElementById('add');
if (form) {
	const queue = new Queue(show);
	const input = document.getElementById('file');
	const profile = document.getElementById('profile');
	const add = (files) => queue.add(files, profile.value);

	const take = () => {
		add([...input.files]);
		input.value = ''; // so that the same file can be chosen again
	};

	input.multiple = true;
	input.addEventListener('change', take);
	if (input.files.length) take(); // somebody was faster than this script
	form.addEventListener('submit', (e) => e.preventDefault());
	keepChoice(profile);
	takeDrops(add);
	queue.recall();
}

// keepChoice remembers the profile that was chosen last.
function keepChoice(select) {
	const key = 'mp3converter.profile';
	try {
		const last = localStorage.getItem(key);
		if ([...select.options].some((o) => o.value === last)) select.value = last;
		select.addEventListener('change', () => localStorage.setItem(key, select.value));
	} catch {
		// no storage
	}
}

// takeDrops takes files wherever on the page they are dropped: beside the field the browser would open them.
function takeDrops(add) {
	const files = (e) => e.dataTransfer?.types.includes('Files');
	const mark = (on) => document.body.classList.toggle('dropping', on);
	addEventListener('dragover', (e) => {
		if (!files(e)) return;
		e.preventDefault();
		e.dataTransfer.dropEffect = 'copy';
		mark(true);
	});
	addEventListener('dragleave', (e) => { if (!e.relatedTarget) mark(false); });
	addEventListener('drop', (e) => {
		if (!files(e)) return;
		e.preventDefault();
		mark(false);
		add([...e.dataTransfer.files]);
	});
}
