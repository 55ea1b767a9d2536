// What is between a call in C++ and one in C: handles, text, bytes, durations, callables.
// Part of iothub_mqtt.hpp.
#ifndef IOTHUB_MQTT_CALL_HPP
#define IOTHUB_MQTT_CALL_HPP

#include <iothub_mqtt.h>

#include <chrono>
#include <cstddef>
#include <limits>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

namespace iothub {

/// Text for C, which ends it with NUL: from a literal, a std::string, or nullptr where C allows NULL.
class Text {
 public:
  Text(const char *text) noexcept : text_(text) {}
  /// NUL inside would cut the text; instead C gets what it refuses as not being UTF-8.
  Text(const std::string &text) noexcept
      : text_(text.find('\0') == std::string::npos ? text.c_str() : "\xff") {}
  [[nodiscard]] const char *get() const noexcept { return text_; }

 private:
  const char *text_;
};

/// Bytes for C: from a literal, a pointer and a length, or anything with data() and size() whose elements
/// are of one byte.
class Bytes {
 public:
  Bytes(const char *text) noexcept : Bytes(std::string_view(text)) {}
  Bytes(std::nullptr_t) = delete;
  Bytes(const void *data, std::size_t size) noexcept : data_(data), size_(size) {}
  template <class C, class E = std::remove_pointer_t<decltype(std::declval<const C &>().data())>,
            std::enable_if_t<sizeof(E) == 1 && std::is_trivially_copyable_v<E>, int> = 0>
  Bytes(const C &bytes) noexcept : data_(bytes.data()), size_(bytes.size()) {}
  [[nodiscard]] const void *data() const noexcept { return data_; }
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

 private:
  const void *data_;
  std::size_t size_;
};

namespace detail {

/// Owns what *_new() gave, and gives it to *_free(), once.
template <class T, void (*Free)(T *)>
class Handle {
 public:
  explicit Handle(T *handle) noexcept : handle_(handle) {}
  Handle(Handle &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Handle &operator=(Handle &&other) noexcept {
    if (this != &other) {
      free();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~Handle() { Free(handle_); }
  /// Only then NULL: until iothub_client_free returns, callbacks may use the client.
  void free() noexcept {
    Free(handle_);
    handle_ = nullptr;
  }
  [[nodiscard]] T *get() const noexcept { return handle_; }

 private:
  T *handle_;
};

/// The number for C, or the nearest that its type can hold.
template <class N, class D>
constexpr N number(D duration) noexcept {
  using Limits = std::numeric_limits<N>;
  if (duration < D(0) && Limits::min() == 0) return 0;
  if (duration.count() > 0 && static_cast<std::uint64_t>(duration.count()) > Limits::max()) return Limits::max();
  if (duration.count() < 0 && duration.count() < static_cast<std::int64_t>(Limits::min())) return Limits::min();
  return static_cast<N>(duration.count());
}

/// Text of C that may be NULL.
[[nodiscard]] inline std::string_view view(const void *data, std::size_t len) noexcept {
  return len == 0 ? std::string_view() : std::string_view(static_cast<const char *>(data), len);
}

/// The three arguments of a callback of C. All are NULL for nullptr.
template <class Fn>
struct Closure {
  Fn fn;
  void *user_data;
  iothub_free_fn free_fn;
};

template <class F>
void drop(void *callable) noexcept {
  delete static_cast<F *>(callable);
}

/// Moves or copies the callable to the heap, where C has it until it calls drop.
template <class Fn, class F>
Closure<Fn> closure(Fn fn, F &&callable) {
  using Callable = std::decay_t<F>;
  if constexpr (std::is_same_v<Callable, std::nullptr_t>) {
    return {nullptr, nullptr, nullptr};
  } else {
    return {fn, new Callable(std::forward<F>(callable)), &drop<Callable>};
  }
}

/// Calls the callable that C has. Nothing is thrown into C: an exception ends the program here, and nowhere else on
/// the way can one arise.
template <class R, class F, class... A>
R call(void *user_data, A... arguments) noexcept {
  if constexpr (!std::is_same_v<std::remove_const_t<F>, std::nullptr_t>) {
    static_assert(std::is_invocable_r_v<R, F &, A...>, "the callable takes or returns something else");
    F &callable = *static_cast<F *>(user_data);
    if constexpr (std::is_void_v<R>) {
      callable(arguments...);
    } else {
      return callable(arguments...);
    }
  } else {
    static_cast<void>(user_data);
    return R();
  }
}

}  // namespace detail
}  // namespace iothub
#endif
