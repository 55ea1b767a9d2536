// How calls and operations end: the numbers of C as scoped enumerations, Status, Result, and Error.
// Part of iothub_mqtt.hpp.
#ifndef IOTHUB_MQTT_STATUS_HPP
#define IOTHUB_MQTT_STATUS_HPP

#include <iothub_mqtt.h>

#include <cstdint>
#include <string_view>
#include <utility>

#ifdef __cpp_exceptions
#include <cstring>
#include <stdexcept>
#include <string>
#endif

namespace iothub {

/// iothub_status_t. Expect new ones; treat one that you do not know as internal.
enum class Code : iothub_status_t {
  ok = IOTHUB_OK,
  internal = IOTHUB_E_INTERNAL,
  argument = IOTHUB_E_ARGUMENT,
  state = IOTHUB_E_STATE,
  closed = IOTHUB_E_CLOSED,
  forked = IOTHUB_E_FORKED,
  full = IOTHUB_E_FULL,
  timeout = IOTHUB_E_TIMEOUT,
  not_found = IOTHUB_E_NOT_FOUND,
  unsupported = IOTHUB_E_UNSUPPORTED,
  expired = IOTHUB_E_EXPIRED,
  dropped = IOTHUB_E_DROPPED,
  network = IOTHUB_E_NETWORK,
  tls = IOTHUB_E_TLS,
  auth = IOTHUB_E_AUTH,
  protocol = IOTHUB_E_PROTOCOL,
  throttled = IOTHUB_E_THROTTLED,
  too_large = IOTHUB_E_TOO_LARGE,
  precondition = IOTHUB_E_PRECONDITION,
  rejected = IOTHUB_E_REJECTED,
};

/// iothub_cause_t. Expect new ones.
enum class Cause : iothub_cause_t {
  none = IOTHUB_CAUSE_NONE,
  dns = IOTHUB_CAUSE_DNS,
  connection_refused = IOTHUB_CAUSE_CONNECTION_REFUSED,
  unreachable = IOTHUB_CAUSE_UNREACHABLE,
  connect_timeout = IOTHUB_CAUSE_CONNECT_TIMEOUT,
  connection_reset = IOTHUB_CAUSE_CONNECTION_RESET,
  network = IOTHUB_CAUSE_NETWORK,
  tls_untrusted = IOTHUB_CAUSE_TLS_UNTRUSTED,
  tls_expired = IOTHUB_CAUSE_TLS_EXPIRED,
  tls_name = IOTHUB_CAUSE_TLS_NAME,
  tls = IOTHUB_CAUSE_TLS,
  proxy = IOTHUB_CAUSE_PROXY,
  authentication = IOTHUB_CAUSE_AUTHENTICATION,
  clock = IOTHUB_CAUSE_CLOCK,
  taken_over = IOTHUB_CAUSE_TAKEN_OVER,
  keep_alive = IOTHUB_CAUSE_KEEP_ALIVE,
  protocol = IOTHUB_CAUSE_PROTOCOL,
  throttled = IOTHUB_CAUSE_THROTTLED,
  closed_by_hub = IOTHUB_CAUSE_CLOSED_BY_HUB,
  renewed = IOTHUB_CAUSE_RENEWED,
  closed_by_us = IOTHUB_CAUSE_CLOSED_BY_US,
  configuration = IOTHUB_CAUSE_CONFIGURATION,
};

/// "IOTHUB_E_AUTH" and the like: iothub_status_name.
[[nodiscard]] inline const char *name(Code code) noexcept {
  return iothub_status_name(static_cast<iothub_status_t>(code));
}

/// "tls_untrusted" and the like: iothub_cause_name.
[[nodiscard]] inline const char *name(Cause cause) noexcept {
  return iothub_cause_name(static_cast<iothub_cause_t>(cause));
}

/// The version of the loaded library: iothub_version. That of the headers is IOTHUB_VERSION.
[[nodiscard]] inline std::uint32_t version() noexcept { return iothub_version(); }

/// A code and the sentence that belongs to it. True if it is Code::ok.
///
/// The sentence is borrowed. What a callable is told is valid until that returns; what a call returns is
/// valid until the next call on this thread fails (iothub_last_error).
class [[nodiscard]] Status {
 public:
  constexpr Status() noexcept = default;
  constexpr Status(iothub_status_t code, const char *detail) noexcept
      : code_(static_cast<Code>(code)), detail_(detail) {}
  [[nodiscard]] constexpr Code code() const noexcept { return code_; }
  /// "" for Code::ok. NUL-terminated.
  [[nodiscard]] constexpr const char *detail() const noexcept { return detail_; }
  [[nodiscard]] const char *name() const noexcept { return iothub::name(code_); }
  constexpr explicit operator bool() const noexcept { return code_ == Code::ok; }

 private:
  Code code_ = Code::ok;
  const char *detail_ = "";
};

/// What a call of iothub::codes that makes something returns: a Status, and the thing where that is ok.
template <class T>
struct [[nodiscard]] Result {
  Status status;
  T value;
  explicit operator bool() const noexcept { return static_cast<bool>(status); }
};

/// Failures are returned: the rule of iothub::codes.
struct Codes {
  static constexpr bool silent = true;
  using Outcome = Status;
  template <class T>
  using Value = Result<T>;
  static Status outcome(iothub_status_t code) noexcept {
    return {code, code == IOTHUB_OK ? "" : iothub_last_error()};
  }
  template <class T>
  static Result<T> value(iothub_status_t code, T value) noexcept {
    return {outcome(code), std::move(value)};
  }
};

#ifdef __cpp_exceptions
/// What failed: what() is "IOTHUB_E_AUTH: the detail".
class Error : public std::runtime_error {
 public:
  explicit Error(Status status)
      : std::runtime_error(std::string(status.name()) + ": " + status.detail()), code_(status.code()) {}
  [[nodiscard]] Code code() const noexcept { return code_; }
  [[nodiscard]] const char *detail() const noexcept { return what() + std::strlen(name(code_)) + 2; }

 private:
  Code code_;
};

/// Failures are thrown: the rule of iothub.
struct Throws {
  static constexpr bool silent = false;
  using Outcome = void;
  template <class T>
  using Value = T;
  static void outcome(iothub_status_t code) {
    if (code != IOTHUB_OK) throw Error(Codes::outcome(code));
  }
  template <class T>
  static T value(iothub_status_t code, T value) {
    outcome(code);
    return value;
  }
};
#endif

}  // namespace iothub
#endif
