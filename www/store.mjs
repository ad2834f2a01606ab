// The last captures, kept by the browser so that a reload or the back button finds them. Where it keeps nothing, the
// page works without.
const MOST = 20;

let database;
const opened = () =>
	(database ??= new Promise(resolve => {
		const r = indexedDB.open("pprofd", 1);
		r.onupgradeneeded = () => r.result.createObjectStore("captures", { autoIncrement: true });
		r.onsuccess = () => resolve(r.result);
		r.onerror = r.onblocked = () => resolve(null);
	}));
const run = async (mode, ask) => {
	const db = await opened();
	return (
		db &&
		new Promise(resolve => {
			const r = ask(db.transaction("captures", mode).objectStore("captures"));
			r.onsuccess = () => resolve(r.result);
			r.onerror = () => resolve(null);
		})
	);
};

export const stored = async () => (await run("readonly", s => s.getAll())) ?? [];
export async function keep(capture) {
	await run("readwrite", s => s.put(capture));
	for (const key of ((await run("readonly", s => s.getAllKeys())) ?? []).slice(0, -MOST))
		await run("readwrite", s => s.delete(key));
}
