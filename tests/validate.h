/* What every reader of pprof's format must find true of a profile, gzip'd or not. For programs linked with the
 * server's insides. */
#ifndef PD_VALIDATE_H
#define PD_VALIDATE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "profile.pb-c.h"
#include "server/encode/encode.h"

static char validate_why[400];

/* Remember the first violation. */
__attribute__((format(printf, 2, 3))) static bool validate_need(bool ok, const char *fmt, ...)
{
	if (!ok && !validate_why[0]) {
		va_list ap;
		va_start(ap, fmt);
		vsnprintf(validate_why, sizeof validate_why, fmt, ap);
		va_end(ap);
	}
	return ok;
}

/* The bytes without gzip; free them. NULL = damaged, or the header tells a time or a system. */
static unsigned char *validate_raw(const void *data, size_t len, size_t *n)
{
	const unsigned char *p = data;
	size_t cap = len * 50 + 4096;
	unsigned char *raw = malloc(cap);
	*n = len;
	if (len < 2 || p[0] != 0x1f || p[1] != 0x8b)
		return memcpy(raw, data, len);
	bool header = len > 18 && !p[3] && !p[4] && !p[5] && !p[6] && !p[7] && p[9] == 255;
	z_stream z = { .next_in = (Bytef *)data, .avail_in = (uInt)len, .next_out = raw, .avail_out = (uInt)cap };
	inflateInit2(&z, 15 + 16);
	int rc = inflate(&z, Z_FINISH);
	*n = z.total_out;
	inflateEnd(&z);
	if (validate_need(header, "gzip header") && validate_need(rc == Z_STREAM_END && !z.avail_in, "gzip: %d", rc))
		return raw;
	free(raw);
	return NULL;
}

/* Top-level fields 1..14 with their wire types, scalars once, comments not packed. */
static void validate_fields(const unsigned char *p, size_t n)
{
	static const char WIRE[] = "?22222200002000?";
	bool seen[16] = { 0 };
	for (size_t i = 0; i < n;) {
		unsigned field = p[i] >> 3, wire = p[i] & 7;
		if (!validate_need(p[i] < 128 && field >= 1 && field <= 14 && wire == (unsigned)(WIRE[field] - '0'),
		                   "top-level tag %u", p[i]))
			return;
		bool once = field > 6 && field != 13;
		validate_need(!(once && seen[field]), "field %u twice", field);
		seen[field] = true;
		uint64_t v = 0;
		int shift = 0;
		do
			v |= (uint64_t)(p[++i] & 127) << shift;
		while (shift += 7, p[i] >= 128 && i + 1 < n);
		i += 1 + (wire == 2 ? v : 0);
	}
}

static bool validate_utf8(const char *s)
{
	struct pd_buf clean = { 0 };
	pd_utf8(&clean, s);
	pd_buf_char(&clean, '\0');
	bool same = strcmp(clean.data, s) == 0;
	pd_buf_free(&clean);
	return same;
}

/* The string of an index, "" after noting that it is none. */
static const char *validate_string(const Pprof__Profile *m, int64_t i)
{
	bool ok = i >= 0 && (size_t)i < m->n_string_table;
	return validate_need(ok, "string index %lld", (long long)i) ? m->string_table[i] : "";
}

static void validate_types(const Pprof__Profile *m)
{
	validate_need(m->n_sample_type >= 1 && m->n_sample_type <= 4, "%zu sample types", m->n_sample_type);
	const char *chosen = validate_string(m, m->default_sample_type);
	bool found = !chosen[0];
	for (size_t i = 0; i < m->n_sample_type; i++) {
		const char *type = validate_string(m, m->sample_type[i]->type);
		validate_string(m, m->sample_type[i]->unit);
		validate_need(type[0] && !strchr(type, '-'), "sample type '%s'", type);
		found |= strcmp(type, chosen) == 0;
		for (size_t k = 0; k < i; k++)
			validate_need(m->sample_type[k]->type != m->sample_type[i]->type, "two types '%s'", type);
		validate_need(strcmp(type, "cpu") != 0 || m->duration_nanos > 0, "no duration");
	}
	validate_need(found, "default_sample_type '%s' is none", chosen);
	validate_need(m->period_type && m->period > 0 && m->time_nanos > 0, "no period or time");
	validate_need(!m->drop_frames && !m->keep_frames, "drop_frames or keep_frames");
	for (size_t i = 0; i < m->n_comment; i++)
		validate_need(strncmp(validate_string(m, m->comment[i]), "executableInfo=", 15) != 0, "a comment");
}

static void validate_functions(const Pprof__Profile *m)
{
	for (size_t i = 0; i < m->n_function; i++) {
		const Pprof__Function *f = m->function[i];
		validate_need(f->id == i + 1, "function id %zu", i);
		validate_need(validate_string(m, f->name)[0], "function %zu has no name", i);
		validate_need(validate_string(m, f->system_name)[0], "function %zu has no system name", i);
		const char *name = validate_string(m, f->name), *system = validate_string(m, f->system_name);
		const char *file = validate_string(m, f->filename);
		/* pprof demangles by the system name, and takes away a name that is all in angle brackets. */
		validate_need(strcmp(name, system) == 0 || strncmp(system, "_Z", 2) == 0 || strncmp(system, "_R", 2) == 0 ||
		                      !strchr(system, '('), "system name '%s'", system);
		validate_need(name[0] != '<' || strchr(name, '>') != name + strlen(name) - 1, "the name '%s'", name);
		validate_need(!strstr(file, "/../") && !strstr(file, "/./") && !strstr(file, "//"), "file '%s'", file);
		for (size_t k = 0; k < i; k++)
			validate_need(m->function[k]->name != f->name ||
			                      m->function[k]->system_name != f->system_name ||
			                      m->function[k]->filename != f->filename ||
			                      m->function[k]->start_line != f->start_line,
			              "function %zu is %zu", i, k);
	}
}

static void validate_locations(const Pprof__Profile *m)
{
	for (size_t i = 0; i < m->n_mapping; i++) {
		const Pprof__Mapping *map = m->mapping[i];
		validate_need(map->id == i + 1, "mapping id %zu", i);
		validate_need(map->memory_start < map->memory_limit, "mapping %zu is empty", i);
		validate_need(validate_string(m, map->filename)[0], "mapping %zu has no file", i);
		const char *id = validate_string(m, map->build_id);
		validate_need(strspn(id, "0123456789abcdef") == strlen(id) && strlen(id) % 2 == 0, "build id %s", id);
	}
	for (size_t i = 0; i < m->n_location; i++) {
		const Pprof__Location *l = m->location[i];
		validate_need(l->id == i + 1 && l->address, "location %zu has id %llu, address %llx", i,
		              (unsigned long long)l->id, (unsigned long long)l->address);
		bool bare = !l->n_line;
		for (size_t k = 0; k < l->n_line; k++) {
			uint64_t f = l->line[k]->function_id;
			if (!validate_need(f && f <= m->n_function, "location %zu has no such function", i))
				return;
			const char *name = validate_string(m, m->function[f - 1]->name);
			bare |= strncmp(name, "0x", 2) == 0 || strstr(name, "+0x");
		}
		if (!validate_need(l->mapping_id <= m->n_mapping, "location %zu has no such mapping", i) ||
		    !l->mapping_id)
			continue;
		const Pprof__Mapping *map = m->mapping[l->mapping_id - 1];
		validate_need(l->address >= map->memory_start && l->address < map->memory_limit,
		              "location %zu is outside its mapping", i);
		validate_need(!(bare && (map->has_functions || map->has_filenames || map->has_line_numbers)),
		              "location %zu has no name, its mapping says it has", i);
	}
}

static bool validate_same(const Pprof__Sample *a, const Pprof__Sample *b)
{
	if (a->n_location_id != b->n_location_id || a->n_label != b->n_label ||
	    memcmp(a->location_id, b->location_id, a->n_location_id * 8) != 0)
		return false;
	for (size_t i = 0; i < a->n_label; i++)
		if (a->label[i]->key != b->label[i]->key || a->label[i]->str != b->label[i]->str ||
		    a->label[i]->num != b->label[i]->num)
			return false;
	return true;
}

static void validate_samples(const Pprof__Profile *m)
{
	for (size_t i = 0; i < m->n_sample; i++) {
		const Pprof__Sample *s = m->sample[i];
		bool any = false;
		validate_need(s->n_location_id, "sample %zu has no stack", i);
		for (size_t k = 0; k < s->n_location_id; k++)
			validate_need(s->location_id[k] && s->location_id[k] <= m->n_location, "sample %zu: place", i);
		if (!validate_need(s->n_value == m->n_sample_type, "sample %zu has %zu values", i, s->n_value))
			return;
		for (size_t k = 0; k < s->n_value; k++) {
			validate_need(s->value[k] >= 0, "sample %zu is negative", i);
			any |= s->value[k] != 0;
		}
		validate_need(any, "sample %zu is all zero", i);
		for (size_t k = 0; k < s->n_label; k++) {
			const Pprof__Label *l = s->label[k];
			validate_need(validate_string(m, l->key)[0], "sample %zu has a label without key", i);
			validate_string(m, l->str);
			validate_need(!l->num || validate_string(m, l->num_unit)[0], "sample %zu: no unit", i);
			for (size_t q = 0; q < k; q++)
				validate_need(s->label[q]->key != l->key, "sample %zu has a label twice", i);
		}
		for (size_t k = 0; k < i && i < 2000; k++)
			validate_need(!validate_same(m->sample[k], s), "sample %zu is sample %zu again", i, k);
	}
}

static void validate_strings(const Pprof__Profile *m)
{
	validate_need(m->n_string_table && !m->string_table[0][0], "string 0 is not \"\"");
	for (size_t i = 0; i < m->n_string_table; i++) {
		validate_need(validate_utf8(m->string_table[i]), "string %zu is not UTF-8", i);
		for (size_t k = 0; k < i && i < 2000; k++)
			validate_need(strcmp(m->string_table[k], m->string_table[i]) != 0, "string %zu twice", i);
	}
}

/* The decoded profile, after all checks; give back with pprof__profile__free_unpacked(m, NULL).
 * NULL = not even decodable. *why = the first violation, or NULL. */
static inline Pprof__Profile *validate_decode(const void *data, size_t len, const char **why)
{
	size_t n;
	validate_why[0] = 0;
	unsigned char *raw = validate_raw(data, len, &n);
	Pprof__Profile *m = raw ? pprof__profile__unpack(NULL, n, raw) : NULL;
	if (raw)
		validate_fields(raw, n);
	free(raw);
	if (validate_need(m, "not decodable")) {
		validate_strings(m);
		validate_types(m);
		validate_need(m->n_mapping, "no mapping");
		validate_functions(m);
		validate_locations(m);
		validate_samples(m);
	}
	*why = validate_why[0] ? validate_why : NULL;
	return m;
}

/* NULL = all is well, else the first violation. */
static inline const char *validate(const void *data, size_t len)
{
	const char *why;
	Pprof__Profile *m = validate_decode(data, len, &why);
	if (m)
		pprof__profile__free_unpacked(m, NULL);
	return why;
}

#endif
