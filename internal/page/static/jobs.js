// The list of jobs, kept as it is on the server. An event says that something has changed; the words for it come from the
// page itself, of which one job is asked for anew. So they are in one place, and alike without scripts.

import { say, warn } from './say.js';
import { onSearch, wanted } from './search.js';
import { localise, refusal, sentence } from './words.js';

const AGAIN = 5000; // ms until the list is fetched where there are no events, and before another try to listen

const list = document.getElementById('jobs');
const empty = document.getElementById('empty');
const more = document.getElementById('more');
const live = document.getElementById('add') !== null; // the newest jobs: what is new belongs here

const card = (id) => document.getElementById(`job-${id}`);

class LoggedOut extends Error {}

async function fetchPage(query) {
	const answer = await fetch(`/${query}`, { headers: { Accept: 'text/html' } });
	if (!answer.ok) throw new Error('the server is not available');
	const page = new DOMParser().parseFromString(await answer.text(), 'text/html');
	const jobs = page.getElementById('jobs');
	if (!jobs) throw new LoggedOut('you are no longer logged in: reload the page');
	if (jobs.dataset.user !== list.dataset.user) throw new LoggedOut('you are logged in as somebody else: reload the page'); // in another tab
	localise(page);
	return page;
}

// show fetches a job and shows it as it is now.
export async function show(id) {
	try {
		const fresh = (await fetchPage(`?job=${id}`)).getElementById(`job-${id}`);
		if (fresh) put(fresh);
		else drop(id);
	} catch (e) {
		warn(sentence(e.message));
	}
}

let searched = location.search; // for what the list has

// sync makes the list what it is on the server, as far as one page of it goes; wholly if it is by another search.
async function sync() {
	const asked = location.search;
	const page = await fetchPage(asked);
	if (asked !== location.search) return; // for something else by now, which is on its way
	const anew = asked !== searched;
	const rows = [...page.querySelectorAll('#jobs > li')];
	const last = !anew && page.getElementById('older') ? rows.at(-1).dataset.job : '';
	for (const { dataset } of [...list.children]) if (dataset.job >= last && !page.getElementById(`job-${dataset.job}`)) drop(dataset.job);
	for (const fresh of rows.reverse()) put(fresh);
	if (!anew) return;
	searched = asked;
	empty.replaceChildren(...page.getElementById('empty').childNodes);
	more.replaceChildren(...page.getElementById('more').childNodes);
	say(`${list.children.length || 'Nothing'}${more.firstChild ? ' or more' : ''} found`);
}

// put shows a card in place of the one that is there, or where it belongs: ids sort by age.
function put(fresh) {
	fresh = document.adoptNode(fresh);
	const { job, name, state } = fresh.dataset;
	const old = card(job);
	if (old && old.dataset.state !== state) announce(fresh);
	if (!wanted(name, state)) return drop(job);
	if (!old) {
		list.insertBefore(fresh, [...list.children].find((other) => other.dataset.job < job) ?? null);
		empty.hidden = true;
		return;
	}
	Object.assign(old.dataset, fresh.dataset);
	for (const part of [...old.querySelectorAll('[data-part]')]) if (!same(fresh, part)) part.remove();
	let last = null;
	const focused = old.contains(document.activeElement);
	for (const part of [...fresh.querySelectorAll('[data-part]')]) {
		const there = old.querySelector(`[data-part="${part.dataset.part}"]`);
		if (!there) last ? last.after(part) : old.prepend(part);
		last = there ?? part;
	}
	if (focused && !old.contains(document.activeElement)) old.querySelector('h3').focus();
}

// same keeps what is not new: a player that plays, a button that has the focus, a question that is open.
function same(fresh, part) {
	const twin = fresh.querySelector(`[data-part="${part.dataset.part}"]`);
	if (part.dataset.part === 'player') return twin?.getAttribute('src') === part.getAttribute('src');
	return twin !== null && key(part) === key(twin);
}

const key = (part) => [...part.querySelectorAll('[data-act], [data-play], a')].map((e) => e.dataset.play ?? e.getAttribute('href') ?? e.action).join() + part.textContent;

function announce(fresh) {
	const { name, state } = fresh.dataset;
	if (state === 'converted' || state === 'done') say(`${name} is ready`);
	else if (state === 'failed') say(`${name}: ${fresh.querySelector('.failed').textContent}`);
}

function drop(id) {
	const gone = card(id);
	if (!gone) return;
	const focused = gone.contains(document.activeElement);
	const next = gone.nextElementSibling ?? gone.previousElementSibling;
	gone.remove();
	empty.hidden = list.children.length > 0;
	if (focused) (next?.querySelector('h3') ?? document.getElementById('jobs-title')).focus();
}

// follow keeps the list as it is on the server, from now on, while somebody can see it: a browser has few connections to
// one server, and a window in the background is not to hold one.
export function follow() {
	localise(document);
	onSearch(catchUp);
	let events = connect(false);
	document.addEventListener('visibilitychange', () => {
		if (document.hidden) events.close();
		else if (events.readyState === EventSource.CLOSED) events = connect(true);
	});

	// connect listens. What was missed meanwhile is fetched once it is heard again.
	function connect(missed) {
		const source = new EventSource(`/events?limit=${list.dataset.limit}`);
		source.addEventListener('open', () => {
			if (missed) catchUp();
			missed = true;
		});
		source.addEventListener('reset', catchUp);
		source.addEventListener('job', (e) => changed(JSON.parse(e.data)));
		source.addEventListener('gone', (e) => drop(JSON.parse(e.data).id));
		source.addEventListener('error', () => {
			if (source.readyState === EventSource.CLOSED) setTimeout(refused, AGAIN, source); // else it tries again by itself
		});
		return source;
	}

	// refused does without events until they can be had again: the server is starting, or a proxy does not let them through.
	async function refused(source) {
		if (!document.hidden && events === source && await catchUp()) events = connect(false);
	}
}

// catchUp fetches what was missed, and reports whether there is more to come.
async function catchUp() {
	try {
		await sync();
		warn();
	} catch (e) {
		warn(sentence(e instanceof TypeError ? 'the server cannot be reached' : e.message));
		return !(e instanceof LoggedOut);
	}
	return true;
}

// changed shows what an event tells of. A job that is not searched for, or that the list does not reach yet, is left out.
function changed(job) {
	const there = card(job.id);
	const beyond = document.getElementById('older') && job.id < list.lastElementChild?.dataset.job;
	if (!there && (!live || beyond || !wanted(job.file_name, job.state))) return;
	if (there?.dataset.state === 'converting' && job.state === 'converting') {
		there.querySelector('progress').value = job.progress;
		there.querySelector('.percent').textContent = `${job.progress} %`;
		return;
	}
	if (there?.dataset.state !== job.state || there.dataset.mail !== (job.mail ?? '')) show(job.id);
}

// act sends a card's form, and then shows what has come of it.
async function act(form) {
	const { job, name } = form.closest('li').dataset;
	if (form.ariaBusy) return; // a second click
	form.ariaBusy = 'true'; // rather than disabled buttons, which would lose the focus
	warn();
	try {
		const answer = await fetch(form.action, { method: 'POST', headers: { Accept: 'application/json' } });
		if (!answer.ok && answer.status !== 404) throw new Error(refusal(answer.status, (await answer.json()).detail));
		form.closest(':popover-open')?.hidePopover();
		if (form.dataset.act !== 'delete') return await show(job);
		drop(job);
		say(`${name} is deleted`);
	} catch (e) {
		warn(sentence(`${name}: ${e instanceof TypeError ? 'the server cannot be reached' : e.message}`));
	} finally {
		form.ariaBusy = null;
	}
}

list.addEventListener('submit', (e) => {
	if (!e.target.dataset.act) return;
	e.preventDefault();
	act(e.target);
});

// One player at a time, shown by its button.
list.addEventListener('click', (e) => {
	const button = e.target.closest('[data-play]');
	if (!button) return;
	const player = document.getElementById(button.getAttribute('aria-controls'));
	const open = player.classList.toggle('open');
	button.setAttribute('aria-expanded', String(open));
	button.firstChild.textContent = open ? 'Hide' : 'Play';
	if (open) player.play().catch(() => {}); // the player itself shows what is wrong
	else player.pause();
});

list.addEventListener('play', (e) => {
	for (const other of list.querySelectorAll('audio')) if (other !== e.target) other.pause();
}, true);

// Older jobs are added below rather than instead.
more.addEventListener('click', async (e) => {
	const link = e.target.closest('a');
	if (!link) return;
	e.preventDefault();
	try {
		const page = await fetchPage(new URL(link.href).search);
		if (!link.isConnected) return; // something else is searched for, or a second click
		const rows = [...page.querySelectorAll('#jobs > li')];
		for (const fresh of rows) if (!card(fresh.dataset.job)) list.append(document.adoptNode(fresh));
		more.replaceChildren(...page.getElementById('more').childNodes);
		if (rows.length) card(rows[0].dataset.job)?.querySelector('h3').focus();
		say(`${rows.length} older`);
	} catch (e) {
		warn(sentence(e.message));
	}
});
