/* Names as people read them, and paths. */
#include "server/symbol/name.h"
#include "server/symbol/path.h"
#include "server/symbol/symbol.h"
#include "../test.h"

/* What linkers know, and what is shown. */
static const char *const shown[][2] = {
	{ "main", "main" },
	{ "_start", "_start" },
	{ "_Z3fooi", "foo" },
	{ "_Z3fooIiEvT_", "foo<int>" },
	{ "_ZN2ns3Foo3barEi", "ns::Foo::bar" },
	{ "_ZNK3FoocvbEv", "Foo::operator bool" },
	{ "_ZN3FoogtEv", "Foo::operator>" },
	{ "_ZNK3ns13ptrptEv", "ns1::ptr::operator->" },
	{ "_ZN3FooC2Ev", "Foo::Foo" },
	{ "_ZN3FooD0Ev", "Foo::~Foo" },
	{ "_ZN12_GLOBAL__N_16helperEi", "(anonymous namespace)::helper" },
	{ "_ZNSt6vectorIiSaIiEE9push_backERKi", "std::vector<int, std::allocator<int> >::push_back" },
	{ "_ZZ4mainENKUlvE_clEv", "main::{lambda()#1}::operator()" },
	{ "_ZZN2ns1fEiENKUliE_clEi", "ns::f::{lambda(int)#1}::operator()" },
	{ "_ZZNK2ns1AclEiENKUlvE_clEv", "ns::A::operator()::{lambda()#1}::operator()" },
	{ "_ZZ3fooIiEvT_ENKUlvE_clEv", "foo<int>::{lambda()#1}::operator()" },
	{ "_ZN1AlsIiEEvT_", "A::operator<< <int>" },
	{ "_ZplRK1AS1_", "operator+" },
	{ "_ZN3Foo3barEv.constprop.0", "Foo::bar" },
	{ "_ZN3Foo3barEv.isra.0.cold", "Foo::bar" },
	{ "_ZN3Foo3barEv.llvm.1234567890", "Foo::bar" },
	{ "work.part.0", "work" },
	{ "work.constprop.0.isra.3", "work" },
	{ "work.cold", "work" },
	{ "work.lto_priv.17", "work" },
	{ "nested.0", "nested" },
	{ "main.init.0", "main.init.0" },
	{ "main.(*T).Do", "main.(*T).Do" },
	{ "memcpy@@GLIBC_2.14", "memcpy" },
	{ "realpath@GLIBC_2.2.5", "realpath" },
	{ "malloc@plt", "malloc@plt" },
	{ "_Z3fooi@plt", "foo@plt" },
	{ "_ZN3foo3bar17h0123456789abcdefE", "foo::bar" },
	{ "_ZN3foo3bar17h0123456789abcdefE.llvm.42", "foo::bar" },
	{ "_ZN71_$LT$Test$u20$$u2b$$u20$$u27$static$u20$as$u20$foo..Bar$LT$Test$GT$$GT$3bar17h930b740aa94f1d3aE",
	        "<Test + 'static as foo::Bar<Test>>::bar" },
	{ "_RNvCs1234_7mycrate3foo", "mycrate::foo" },
	{ "_RINvNtC3std3mem8align_ofdE", "std::mem::align_of::<f64>" },
	{ "_RNCNCNgCs6DXkGYLi8lr_2cc5spawn00B5_", "cc::spawn::{closure#0}::{closure#0}" },
	{ "_Z5applyISt8functionIFiiEEEiT_", "apply<std::function<int (int)> >" },
	{ "_Z5applyIPFvcEEvT_", "apply<void (*)(char)>" },
	{ "_ZN1AIFiiEE3getILi3EEEvv", "A<int (int)>::get<3>" },
	{ "_D3pkg1d1K6opCallMFiZi", "pkg.d.K.opCall" },
	{ "_D3pkg1d__T1STiZQf3addMFNaNbNiNfiZi", "pkg.d.S!(int).S.add" },
	{ "_Dmain", "D main" },
	{ "_Destroy", "_Destroy" },
	{ "_Z", "_Z" },
	{ "_Znonsense", "_Znonsense" },
	{ "_R", "_R" },
	{ ".cold", ".cold" },
};

static void names(void)
{
	struct pd_strings s = { 0 };
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		STREQ(pd_name_shown(&s, shown[i][0]), shown[i][1]);
	pd_strings_free(&s);
	OK(!pd_demangle("main"));
	OK(!pd_demangle("_Znonsense"));
	OK(!pd_demangle(""));
	char *name = pd_demangle("_ZN2ns3Foo3barEi");
	STREQ(name, "ns::Foo::bar");
	free(name);
}

/* Long names are demangled too, and deep ones end instead of overflowing the stack. */
static void hostile_names(void)
{
	static char long_name[8000], deep[16000];
	strcpy(long_name, "_ZN");
	for (int i = 0; i < 400; i++)
		strcat(long_name, "9namespace");
	strcat(long_name, "3fooEv");
	char *name = pd_demangle(long_name);
	OK(name && strlen(name) == 400 * 11 + 3);
	free(name);
	strcpy(deep, "_Z1f");
	memset(deep + 4, 'P', sizeof(deep) - 10);
	strcpy(deep + sizeof(deep) - 6, "i");
	free(pd_demangle(deep));
	memset(deep + 4, 'N', sizeof(deep) - 10);
	free(pd_demangle(deep));
	strcpy(deep, "_RNv");
	memset(deep + 4, 'N', sizeof(deep) - 10);
	free(pd_demangle(deep));
	memset(deep + 2, 'I', sizeof(deep) - 8);
	free(pd_demangle(deep));
}

static void preference(void)
{
	EQ(pd_name_better("malloc", "__libc_malloc", NULL), 1);
	EQ(pd_name_better("__libc_malloc", "malloc", NULL), -1);
	EQ(pd_name_better("_Z3foov", "_Z3foov", NULL), 0);
	EQ(pd_name_better("_ZN3FooC1Ev", "_ZN3FooC2Ev", NULL), 1);
	EQ(pd_name_better("read", "readlike", NULL), 1);
	EQ(pd_name_better("read", "readlike", "readlike"), -1);
	EQ(pd_name_better("read", "__libc_read", "__libc_read"), 1);
	EQ(pd_name_better("__vdso_clock_gettime", "clock_gettime", NULL), 1);
	OK(pd_name_sane("operator()"));
	OK(!pd_name_sane(""));
	OK(!pd_name_sane("a\nb"));
}

static void paths(void)
{
	static const char *const joined[][4] = {
		{ "/src", "lib", "a.c", "/src/lib/a.c" },
		{ "/src", "../inc", "a.h", "/inc/a.h" },
		{ "/src", "/usr/include", "a.h", "/usr/include/a.h" },
		{ "/src", "lib", "/abs/a.c", "/abs/a.c" },
		{ "/src/./x//y", "", "./a.c", "/src/x/y/a.c" },
		{ "", "", "a.c", "a.c" },
		{ "", "../b", "a.c", "../b/a.c" },
		{ "", "./b/..", "a.c", "a.c" },
		{ "", "b/../..", "a.c", "../a.c" },
		{ "/..", "", "a.c", "/a.c" },
		{ "/proc/self/cwd", "pkg", "a.cc", "/proc/self/cwd/pkg/a.cc" },
		{ "./math", "../sysdeps", "s.c", "sysdeps/s.c" },
	};
	char out[PD_PATH];
	for (size_t i = 0; i < sizeof(joined) / sizeof(joined[0]); i++) {
		OK(pd_path_join(out, joined[i][0], joined[i][1], joined[i][2]));
		STREQ(out, joined[i][3]);
	}
	static char huge[PD_PATH + 1];
	memset(huge, 'x', PD_PATH);
	OK(!pd_path_join(out, "/a", "", huge));
	STREQ(pd_path_last("/a/b"), "b");
	STREQ(pd_path_last("b"), "b");
}

int main(void)
{
	names();
	hostile_names();
	preference();
	paths();
	DONE();
}
