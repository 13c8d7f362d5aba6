// Which uploads were begun and not ended, by what the browser tells of a file: so that the same file, chosen again after a
// reload or a crash, goes on. Private windows may have no storage; then nothing is remembered.

const KEY = 'mp3converter.uploads';

const read = () => {
	try {
		return JSON.parse(localStorage.getItem(KEY)) ?? {};
	} catch {
		return {};
	}
};

const write = (all) => {
	try {
		localStorage.setItem(KEY, JSON.stringify(all));
	} catch {
		// full or forbidden
	}
};

export const fingerprint = (user, file) => [user, file.name, file.size, file.lastModified].join('\n');

export const recall = (key) => read()[key];

export function remember(key, upload) {
	write({ ...read(), [key]: upload });
}

export function forget(key) {
	const all = read();
	delete all[key];
	write(all);
}

// recallAll are the user's, as [key, upload].
export const recallAll = (user) => Object.entries(read()).filter(([key]) => key.startsWith(user + '\n'));
