// Which of a browser's tabs carries an upload: two would break off each other's requests. It is the one that has the upload's
// lock, and it tells the others how far it is. Browsers have locks on pages that come by TLS or from the machine itself.
// Without them each tab does as if it were alone, and the server settles it.

const name = (key) => `mp3converter.upload\n${key}`;
const channel = navigator.locks && new BroadcastChannel('mp3converter.uploads');

// carry resolves once this tab carries the upload, to a function that gives it up. If another tab does, taken is called first.
export function carry(key, taken) {
	const alone = () => {};
	if (!navigator.locks) return Promise.resolve(alone);
	return new Promise((resolve) => {
		const hold = () => new Promise((giveUp) => resolve(giveUp));
		const ask = (options, then) => navigator.locks.request(name(key), options, then).catch(() => resolve(alone));
		ask({ ifAvailable: true }, (lock) => {
			if (lock) return hold();
			taken();
			ask({}, hold);
		});
	});
}

// tell has the other tabs know how many bytes are sent; without them it asks whoever carries the upload.
export const tell = (key, sent) => channel?.postMessage({ key, sent });

// onTold calls back with what other tabs tell.
export function onTold(told) {
	channel?.addEventListener('message', (e) => told(e.data.key, e.data.sent));
}
