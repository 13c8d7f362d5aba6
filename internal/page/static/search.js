// Which of the jobs the list shows, by the form above it. The page's address has it, so that whatever is fetched, a reload and
// older jobs too, is by the same search.

const PAUSE = 250; // ms without another key until the list follows

const form = document.getElementById('search');

const lower = (text) => text.replace(/[A-Z]/g, (c) => c.toLowerCase()); // as the server does

// wanted reports whether a job of that name, in that state, is among those that are searched for.
export function wanted(name, state) {
	const asked = new URLSearchParams(location.search);
	const view = [...form?.elements.show.options ?? []].find((o) => o.value === asked.get('show'));
	return lower(name).includes(lower(asked.get('q') ?? '')) && (!view?.dataset.states || view.dataset.states.split(' ').includes(state));
}

// onSearch calls back when something else is searched for. An upload goes on meanwhile: the page is not left.
export function onSearch(changed) {
	if (!form) return;
	let timer;
	const go = () => {
		clearTimeout(timer);
		const asked = new URLSearchParams([...new FormData(form)].filter(([, value]) => value)).toString();
		form.classList.toggle('used', asked !== '');
		history.replaceState(null, '', asked ? `/?${asked}` : '/');
		changed();
	};
	form.addEventListener('input', () => {
		clearTimeout(timer);
		timer = setTimeout(go, PAUSE);
	});
	form.addEventListener('submit', (e) => {
		e.preventDefault();
		go();
	});
	if (form.elements.q.value !== (new URLSearchParams(location.search).get('q') ?? '')) go(); // somebody was faster than this script
	document.getElementById('empty').addEventListener('click', (e) => {
		if (!e.target.matches('.all')) return;
		e.preventDefault();
		for (const field of form.elements) if (field.name) field.value = '';
		form.elements.q.focus();
		go();
	});
}
