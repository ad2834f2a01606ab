/* Walks stack copies by libunwind's remote interface: all it may read goes through the four functions below. */
#include <libunwind-x86_64.h>
#include <stdlib.h>
#include <string.h>

#include "server/symbol/symbol.h"
#include "server/unwind/inside.h"
#include "server/unwind/unwind.h"

#define FRAMES_MAX 512
#define RECORDS_MAX ((size_t)4096)

extern int _Ux86_64_dwarf_search_unwind_table(unw_addr_space_t as, unw_word_t ip, unw_dyn_info_t *di,
                                              unw_proc_info_t *pi, int need_unwind_info, void *arg);

struct finish {
	const struct pd_module *const *modules;
	size_t nmodules;
	struct pd_image *images; /* one for each module */
	struct pd_pages pages;
	uint32_t epoch;
	const struct pd_thread_rec *rec;
	bool guessing; /* libunwind met an address without a rule: it goes on with guesses we do not want */
};

static int find_proc_info(unw_addr_space_t as, unw_word_t ip, unw_proc_info_t *pi, int need_unwind_info, void *arg)
{
	struct finish *f = arg;
	f->guessing = true;
	const struct pd_module *m = pd_module_find(f->modules, f->nmodules, ip, f->epoch);
	if (!m)
		return -UNW_ENOINFO;
	size_t i = 0;
	while (f->modules[i] != m)
		i++;
	struct pd_image *image = &f->images[i];
	if (!pd_image_look(image, &f->pages, m))
		return -UNW_ENOINFO;
	unw_dyn_info_t di = { .format = UNW_INFO_FORMAT_REMOTE_TABLE, .start_ip = m->start, .end_ip = m->end };
	di.u.rti.segbase = image->hdr;
	di.u.rti.table_data = image->table;
	di.u.rti.table_len = image->len / sizeof(unw_word_t);
	int err = _Ux86_64_dwarf_search_unwind_table(as, ip, &di, pi, need_unwind_info, arg);
	f->guessing = err < 0;
	return err;
}

static void put_unwind_info(unw_addr_space_t as, unw_proc_info_t *pi, void *arg)
{
}

static int no_dynamic_info(unw_addr_space_t as, unw_word_t *list, void *arg)
{
	return -UNW_ENOINFO;
}

static int access_mem(unw_addr_space_t as, unw_word_t at, unw_word_t *value, int write, void *arg)
{
	struct finish *f = arg;
	const struct pd_thread_rec *r = f->rec;
	if (write)
		return -UNW_EINVAL;
	if (at >= r->stack_lo && at - r->stack_lo < r->stack_len && r->stack_len - (at - r->stack_lo) >= sizeof *value) {
		memcpy(value, r->stack + (at - r->stack_lo), sizeof *value);
		return 0;
	}
	for (size_t i = 0; i < f->nmodules; i++) {
		const struct pd_image *m = &f->images[i];
		if (m->good && at >= m->lo && at < m->hi)
			return pd_pages_read(&f->pages, at, value, sizeof *value) ? 0 : -UNW_EINVAL;
	}
	return -UNW_EINVAL;
}

/* A register that is 0 is taken as not known: no rule that leads on needs one of that value. */
static int access_reg(unw_addr_space_t as, unw_regnum_t reg, unw_word_t *value, int write, void *arg)
{
	struct finish *f = arg;
	if (write || reg < 0 || reg >= PD_NREGS || !f->rec->regs[reg])
		return -UNW_EBADREG;
	*value = f->rec->regs[reg];
	return 0;
}

static int no_fpreg(unw_addr_space_t as, unw_regnum_t reg, unw_fpreg_t *value, int write, void *arg)
{
	return -UNW_EBADREG;
}

static int no_resume(unw_addr_space_t as, unw_cursor_t *c, void *arg)
{
	return -UNW_EINVAL;
}

static int no_name(unw_addr_space_t as, unw_word_t at, char *name, size_t n, unw_word_t *offset, void *arg)
{
	return -UNW_ENOINFO;
}

/* Frames of f->rec into pc, leaf first; 0 = the registers lead nowhere. */
static uint32_t walk(unw_addr_space_t as, struct finish *f, uint64_t *pc, bool *bottom)
{
	unw_cursor_t c;
	unw_word_t ip = f->rec->regs[UNW_X86_64_RIP], sp = f->rec->regs[UNW_X86_64_RSP], below;
	uint32_t n = 0;
	*bottom = false;
	if (unw_init_remote(&c, as, f) != 0)
		return 0;
	pc[n++] = f->rec->n ? f->rec->pc[0] : ip - 1;
	while (n < FRAMES_MAX) {
		bool interrupted = unw_is_signal_frame(&c) > 0;
		f->guessing = false;
		int more = unw_step(&c);
		if (more < 0 || f->guessing)
			break;
		*bottom = more == 0;
		below = sp;
		if (more == 0 || unw_get_reg(&c, UNW_REG_IP, &ip) != 0 || unw_get_reg(&c, UNW_REG_SP, &sp) != 0 || sp <= below)
			break;
		if (!pd_module_find(f->modules, f->nmodules, ip, f->epoch))
			break;
		pc[n++] = interrupted ? ip : ip - 1;
	}
	return n;
}

static void finish_all(unw_addr_space_t as, struct finish *f, struct pd_dump *d, uint64_t *room, size_t stacks)
{
	for (size_t i = 0; i < d->n && stacks; i++) {
		struct pd_thread_rec *r = &d->thread[i];
		bool bottom;
		if (!r->regs || !r->stack || !(r->flags & PD_TRUNCATED))
			continue;
		f->rec = r;
		uint32_t n = walk(as, f, room, &bottom);
		if (n <= r->n && !bottom)
			continue;
		r->pc = room;
		r->n = n;
		if (bottom)
			r->flags &= ~(uint32_t)PD_TRUNCATED;
		room += n;
		stacks--;
	}
}

void *pd_unwind_finish(struct pd_dump *d, const struct pd_module *const *modules, size_t n)
{
	size_t unfinished = 0;
	for (size_t i = 0; i < d->n; i++)
		unfinished += d->thread[i].regs && d->thread[i].flags & PD_TRUNCATED;
	if (!unfinished || !n)
		return NULL;
	if (unfinished > RECORDS_MAX)
		unfinished = RECORDS_MAX;
	/* Later versions have more members than this header may know of. */
	union {
		unw_accessors_t known;
		void *every[32];
	} accessors = { .known = { .find_proc_info = find_proc_info,
				   .put_unwind_info = put_unwind_info,
				   .get_dyn_info_list_addr = no_dynamic_info,
				   .access_mem = access_mem,
				   .access_reg = access_reg,
				   .access_fpreg = no_fpreg,
				   .resume = no_resume,
				   .get_proc_name = no_name } };
	struct finish *f = calloc(1, sizeof *f);
	struct pd_image *images = calloc(n, sizeof *images);
	uint64_t *room = malloc(unfinished * FRAMES_MAX * sizeof *room);
	unw_addr_space_t as = unw_create_addr_space(&accessors.known, 0);
	uint64_t *replaced = NULL;
	if (f && images && room && as) {
		f->modules = modules;
		f->nmodules = n;
		f->images = images;
		f->epoch = d->epoch;
		finish_all(as, f, d, room, unfinished);
		replaced = room;
	}
	if (as)
		unw_destroy_addr_space(as);
	if (!replaced)
		free(room);
	free(images);
	free(f);
	return replaced;
}
