// How bytes, times and the server's refusals are said, alike wherever they are.

export function size(bytes) {
	if (bytes < 1000) return `${bytes} B`;
	let unit = 0;
	for (bytes /= 1000; bytes >= 999.5 && unit < 3; bytes /= 1000) unit++;
	return `${bytes.toFixed(bytes >= 99.95 ? 0 : 1)} ${'kMGT'[unit]}B`;
}

export function left(seconds) {
	if (seconds < 60) return `${Math.max(1, Math.ceil(seconds))} s left`;
	const minutes = Math.ceil(seconds / 60);
	if (minutes < 60) return `${minutes} min left`;
	return `${Math.floor(minutes / 60)} h ${minutes % 60} min left`;
}

// sentence makes one of a clause of the API, with its bytes in units that people know.
export function sentence(clause) {
	const text = clause.replace(/(?:of )?(\d{4,}) bytes/g, (whole, n) => whole.replace(`${n} bytes`, size(Number(n)))).trim();
	return text.charAt(0).toUpperCase() + text.slice(1).replace(/\.$/, '') + '.';
}

// refusal says why something was refused, by the API's clause. That of a lost session tells nobody what to do.
export function refusal(status, clause) {
	const out = status === 401 || (status === 403 && clause === 'not authorized');
	return out ? 'You are no longer logged in. Log in in another tab, then go on here.' : sentence(clause);
}

// localise shows the times beneath an element as the reader's own clock has them.
export function localise(element) {
	const format = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
	for (const time of element.querySelectorAll('time[datetime]')) time.textContent = format.format(new Date(time.dateTime));
}
