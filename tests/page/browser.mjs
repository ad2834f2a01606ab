// The page in Chromium on live services, as a person uses it. DEMO, ODD: the programs; T: a private folder; SHOTS: where
// pictures go for a person to look at; an argument: only the steps with that in their names.
import { end, pages, serve, shot, visit } from "./kit.mjs";
import { ACCESS } from "./steps_access.mjs";
import { SERVICE } from "./steps_service.mjs";
import { VIEWS } from "./steps_views.mjs";

let failed = 0;
try {
	await visit(await serve(process.env.DEMO, { PPROFD_HOSTS: "prof.test" }));
	for (const [name, step] of Object.entries({ ...VIEWS, ...SERVICE, ...ACCESS })) {
		if (process.argv[2] && !name.includes(process.argv[2])) continue;
		try {
			await step();
			console.log(`ok ${name}`);
		} catch (e) {
			failed++;
			console.log(`not ok ${name}\n${e.stack.slice(0, 3000)}`);
			await shot(`failed-${failed}`).catch(() => {});
		}
	}
	for (const [p, origin] of pages) {
		const away = p.requests.filter(
			url =>
				!url.startsWith(origin + "/") &&
				!url.startsWith("blob:" + origin) &&
				!url.startsWith("data:"),
		);
		if (p.errors.length || away.length) {
			failed++;
			console.log(
				`not ok: errors ${JSON.stringify(p.errors.slice(0, 3))}, requests elsewhere ${JSON.stringify(away.slice(0, 3))}`,
			);
		}
	}
} finally {
	await end();
}
process.exit(failed ? 1 : 0);
