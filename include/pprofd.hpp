/*
 * pprofd for C++ (11 and later): labels as scopes. Everything else is in <pprofd.h>, which this includes; there is
 * nothing to link beside the library.
 *
 *     pprofd::labels guard{{"route", "/json"}, {"method", request.method()}};
 *     auto reply = pprofd::with_labels({{"tenant", name}}, [&] { return serve(request); });
 */
#ifndef PPROFD_HPP
#define PPROFD_HPP

#include <cstddef>
#include <initializer_list>
#include <utility>

#include <pprofd.h>

namespace pprofd {

/* A key and its value, each a C string or anything with c_str(). Lives for one statement: it keeps only pointers. */
class label {
public:
	label(const char *key, const char *value) noexcept : key_(key), value_(value)
	{
	}
	template <class K, class V> label(const K &key, const V &value) noexcept : key_(text(key)), value_(text(value))
	{
	}

private:
	friend class labels;
	static const char *text(const char *s) noexcept
	{
		return s;
	}
	template <class S> static auto text(const S &s) noexcept -> decltype(s.c_str())
	{
		return s.c_str();
	}
	const char *key_, *value_;
};

/* For labels(pprofd::none): a scope without any label, inherited ones included. */
struct none_t {
};
constexpr none_t none{};

/*
 * This thread's samples carry the labels until the end of the scope, however it ends. It must end on the thread
 * where it began and in the order of scopes: a local variable, never a member, never kept over a co_await. What
 * cannot be set is left out, as pprofd_labels_push() says; nothing is thrown.
 */
class labels {
public:
	labels(std::initializer_list<label> list) noexcept : n_(list.size())
	{
		for (const label &l : list)
			pprofd_labels_push(l.key_, l.value_);
	}
	explicit labels(none_t) noexcept : n_(1)
	{
		pprofd_labels_clear();
	}
	~labels()
	{
		while (n_--)
			pprofd_labels_pop();
	}
	labels(const labels &) = delete;
	labels &operator=(const labels &) = delete;
	static void *operator new(std::size_t) = delete;
	static void *operator new[](std::size_t) = delete;

private:
	std::size_t n_;
};

/* What fn() returns, or throws, called with the labels set. */
template <class F> auto with_labels(std::initializer_list<label> list, F &&fn) -> decltype(std::forward<F>(fn)())
{
	labels scope(list);
	return std::forward<F>(fn)();
}

} // namespace pprofd

#endif
