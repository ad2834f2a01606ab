/* The files of the built-in page, embedded compressed, under a path that changes with their content: what a browser
 * has kept is never stale. Knows their names and types; must not know what they do. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "server/route/inside.h"

#define JS "text/javascript; charset=utf-8"
#define CSS "text/css; charset=utf-8"

/* The files: a name for the linker, its name, its type. */
#define FILES(F)             \
	F(page, "page.mjs", JS) \
	F(style, "style.css", CSS)

/* PD_GEN is the folder the compressed files were made in. */
#define EMBED(id, file, mime)                                                                           \
	__asm__(".pushsection .rodata\n.global pd_www_" #id ", pd_www_" #id "_end\n"                    \
	        ".hidden pd_www_" #id "\n.hidden pd_www_" #id "_end\n"                                  \
	        "pd_www_" #id ": .incbin \"" PD_GEN "/www/" file ".gz\"\npd_www_" #id "_end:\n.popsection"); \
	extern const unsigned char pd_www_##id[], pd_www_##id##_end[];
FILES(EMBED)

#define ENTRY(id, file, mime) { file, mime, pd_www_##id, pd_www_##id##_end },
static const struct asset {
	const char *name, *type;
	const unsigned char *gz, *end;
} assets[] = { FILES(ENTRY) };
#define ASSETS (sizeof assets / sizeof *assets)

/* The folder to work on the page in, where its modules lie one by one; only in builds made for that. */
static const char *folder(void)
{
#ifdef PD_DEBUG
	return getenv("PPROFD_WWW");
#else
	return NULL;
#endif
}

void pd_assets_version(char out[static PD_ASSETS_VERSION], const char **script)
{
	uLong crc = crc32(0, NULL, 0);
	for (size_t i = 0; i < ASSETS; i++)
		crc = crc32(crc, assets[i].gz, (uInt)(assets[i].end - assets[i].gz));
	snprintf(out, PD_ASSETS_VERSION, "%08lx", crc & 0xffffffff);
	*script = folder() ? "app.mjs" : "page.mjs";
}

static const struct asset *find(const char *name)
{
	for (size_t i = 0; i < ASSETS; i++)
		if (strcmp(assets[i].name, name) == 0)
			return &assets[i];
	return NULL;
}

static int read_file(const char *dir, const char *name, struct pd_buf *out)
{
	char path[4096], part[4096];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "re");
	if (!f)
		return -errno;
	for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;)
		pd_buf_add(out, part, n);
	int error = ferror(f) ? -EIO : out->failed ? -ENOMEM : 0;
	fclose(f);
	return error;
}

static int inflate_asset(const struct asset *a, struct pd_buf *out)
{
	char part[4096];
	z_stream z = { .next_in = (Bytef *)a->gz, .avail_in = (uInt)(a->end - a->gz) };
	if (inflateInit2(&z, 16 + MAX_WBITS) != Z_OK)
		return -ENOMEM;
	int rc;
	do {
		z.next_out = (Bytef *)part;
		z.avail_out = sizeof part;
		rc = inflate(&z, Z_NO_FLUSH);
		pd_buf_add(out, part, sizeof part - z.avail_out);
	} while (rc == Z_OK);
	inflateEnd(&z);
	return rc == Z_STREAM_END && !out->failed ? 0 : -ENOMEM;
}

/* Is gzip among the codings, and not with the weight 0? */
static bool takes_gzip(struct pd_request *r)
{
	const char *accept = pd_header(r, "Accept-Encoding");
	const char *at = accept ? strcasestr(accept, "gzip") : NULL;
	if (!at)
		return false;
	at += strlen("gzip");
	at += strspn(at, " \t");
	if (*at != ';')
		return true;
	at += 1 + strspn(at + 1, " \t");
	return strncasecmp(at, "q=", 2) != 0 || strtod(at + 2, NULL) > 0;
}

/* A file of the folder under a plain name, as it lies there. */
static int fill_from_folder(struct pd_request *r, const char *name, const char **type, struct pd_buf *out)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz");
	bool style = strcmp(name + n, ".css") == 0;
	if (!n || (!style && strcmp(name + n, ".mjs") != 0))
		return -ENOENT;
	*type = style ? CSS : JS;
	pd_reply_header(r, "Cache-Control", "no-store");
	return read_file(folder(), name, out);
}

/* The embedded file as the client wants it. 0 or -errno. */
static int fill(struct pd_request *r, const char *name, const char **type, struct pd_buf *out)
{
	const struct asset *a = find(name);
	if (!a)
		return -ENOENT;
	*type = a->type;
	pd_reply_header(r, "Cache-Control", "max-age=31536000, immutable");
	pd_reply_header(r, "Vary", "Accept-Encoding");
	if (!takes_gzip(r))
		return inflate_asset(a, out);
	pd_reply_header(r, "Content-Encoding", "gzip");
	pd_buf_add(out, a->gz, (size_t)(a->end - a->gz));
	return out->failed ? -ENOMEM : 0;
}

void pd_serve_asset(struct pd_routes *s, const struct pd_route *route, struct pd_request *r)
{
	char version[PD_ASSETS_VERSION], tag[PD_ASSETS_VERSION + 2];
	const char *path = pd_path(r) + strlen(route->path), *type = JS, *script;
	struct pd_buf out = { 0 };
	pd_assets_version(version, &script);
	size_t n = strlen(version);
	int error = -ENOENT;
	if (strncmp(path, version, n) == 0 && path[n] == '/')
		error = (folder() ? fill_from_folder : fill)(r, path + n + 1, &type, &out);
	snprintf(tag, sizeof tag, "\"%s\"", version);
	pd_reply_header(r, "ETag", tag);
	const char *known = pd_header(r, "If-None-Match");
	bool same = !error && !folder() && known && strstr(known, tag);
	if (same || error)
		pd_buf_free(&out);
	if (error == -ENOENT)
		pd_error(r, 404, "No such file of the page, or one of another build: reload the page");
	else if (error)
		pd_error(r, 500, "%s: %s", path, strerror(-error));
	else
		pd_reply(r, same ? 304 : 200, type, &out);
}
