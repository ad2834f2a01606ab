/* Label sets: sorted, replaced by key, interned, bounded. */
#include <errno.h>
#include <pthread.h>

#include "agent/stack/stack.h"
#include "../test.h"

static uint32_t with(uint32_t base, const char *k, const char *v)
{
	uint32_t id = 0;
	EQ(pd_labels_with(base, k, v, &id), 0);
	return id;
}

static void *same_sets(void *arg)
{
	uint32_t *out = arg;
	char value[8];
	for (int i = 0; i < 500; i++) {
		snprintf(value, sizeof value, "%d", i);
		out[i] = with(with(0, "route", value), "tenant", "t");
	}
	return NULL;
}

int main(void)
{
	struct pd_budget budget = { .cap = 16 << 20 };
	EQ(pd_labels_on(&budget), 0);
	const struct pd_label *l;
	uint32_t a = with(with(0, "b", "2"), "a", "1"), b = with(with(0, "a", "1"), "b", "2");
	EQ(a, b);
	EQ(pd_labels_get(a, &l), 2);
	STREQ(l[0].key, "a");
	STREQ(l[1].key, "b");
	STREQ(l[1].value, "2");
	uint32_t c = with(a, "b", "3");
	EQ(pd_labels_get(c, &l), 2);
	STREQ(l[1].value, "3");
	EQ(with(c, "b", "2"), a);
	EQ(pd_labels_get(0, &l), 0);
	EQ(pd_labels_get(0x7fffffff, &l), 0);
	STREQ((pd_labels_get(with(0, "k", ""), &l), l[0].value), "");

	char longer[300];
	uint32_t out = 0;
	memset(longer, 'x', sizeof longer);
	longer[257] = 0;
	EQ(pd_labels_with(a, "k", longer, &out), -E2BIG);
	EQ(out, a);
	EQ(pd_labels_with(a, longer, "v", &out), -E2BIG);
	EQ(pd_labels_with(a, "", "v", &out), -E2BIG);
	uint32_t many = 0;
	for (int i = 0; i < 16; i++) {
		char key[8];
		snprintf(key, sizeof key, "k%02d", i);
		many = with(many, key, "v");
	}
	EQ(pd_labels_get(many, &l), 16);
	EQ(pd_labels_with(many, "one-more", "v", &out), -E2BIG);
	EQ(with(many, "k07", "v"), many);

	static uint32_t ids[4][500];
	pthread_t t[4];
	for (size_t i = 0; i < 4; i++)
		pthread_create(&t[i], NULL, same_sets, ids[i]);
	for (size_t i = 0; i < 4; i++)
		pthread_join(t[i], NULL);
	for (size_t i = 1; i < 4; i++)
		EQ(memcmp(ids[0], ids[i], sizeof ids[0]), 0);
	DONE();
}
