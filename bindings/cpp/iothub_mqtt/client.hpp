// The client.
// Part of iothub_mqtt.hpp.
#ifndef IOTHUB_MQTT_CLIENT_HPP
#define IOTHUB_MQTT_CLIENT_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>

#include "call.hpp"
#include "message.hpp"
#include "options.hpp"
#include "status.hpp"

#ifdef __cpp_exceptions
#include <exception>
#include <future>
#include <string>
#endif

namespace iothub {

/// iothub_state_t.
enum class State : iothub_state_t {
  disconnected = IOTHUB_DISCONNECTED,
  connecting = IOTHUB_CONNECTING,
  connected = IOTHUB_CONNECTED,
  closed = IOTHUB_CLOSED,
};

/// iothub_ack_t.
enum class Ack : iothub_ack_t { now = IOTHUB_ACK_NOW, later = IOTHUB_ACK_LATER };

/// iothub_stat_t.
enum class Stat : iothub_stat_t {
  sent = IOTHUB_STAT_SENT,
  acknowledged = IOTHUB_STAT_ACKNOWLEDGED,
  resent = IOTHUB_STAT_RESENT,
  expired = IOTHUB_STAT_EXPIRED,
  dropped = IOTHUB_STAT_DROPPED,
  queued = IOTHUB_STAT_QUEUED,
  queued_bytes = IOTHUB_STAT_QUEUED_BYTES,
  connections = IOTHUB_STAT_CONNECTIONS,
  last_round_trip_us = IOTHUB_STAT_LAST_ROUND_TRIP_US,
};

/// What Client and codes::Client share. Each member is the function of C iothub_client_(its name).
///
/// The destructor is iothub_client_free: what is unfinished completes with Code::closed, and every
/// callable has been destroyed when it returns.
template <class E>
class BasicClient {
 public:
  using Outcome = typename E::Outcome;
  template <class T>
  using Value = typename E::template Value<T>;
  using Milliseconds = std::chrono::milliseconds;

  /// done(Status).
  template <class F>
  Outcome connect(F &&done) {
    const auto c = detail::closure<iothub_done_fn>(&ended<std::decay_t<F>>, std::forward<F>(done));
    return E::outcome(iothub_client_connect(get(), c.fn, c.user_data, c.free_fn));
  }
  /// done(Status).
  template <class F>
  Outcome close(Milliseconds timeout, F &&done) {
    const auto c = detail::closure<iothub_done_fn>(&ended<std::decay_t<F>>, std::forward<F>(done));
    return E::outcome(
        iothub_client_close(get(), detail::number<std::uint32_t>(timeout), c.fn, c.user_data, c.free_fn));
  }
  /// Ends the client now, as the destructor does; it is empty then. Inside its own callbacks, too.
  void free() noexcept { handle_.free(); }

  /// handler(State, Cause, Status).
  template <class F>
  Outcome on_status(F &&handler) {
    const iothub_status_fn fn = [](iothub_state_t state, iothub_cause_t cause, iothub_status_t status,
                                   const char *text, void *user_data) {
      detail::call<void, std::decay_t<F>>(user_data, static_cast<State>(state), static_cast<Cause>(cause),
                                          Status(status, text));
    };
    const auto c = detail::closure(fn, std::forward<F>(handler));
    return E::outcome(iothub_client_on_status(get(), c.fn, c.user_data, c.free_fn));
  }

  /// done(Status).
  template <class F>
  Outcome send(MessageView message, F &&done) {
    const auto c = detail::closure<iothub_done_fn>(&ended<std::decay_t<F>>, std::forward<F>(done));
    return E::outcome(iothub_client_send(get(), message.get(), c.fn, c.user_data, c.free_fn));
  }

  /// Ack handler(MessageView, std::uint64_t delivery).
  template <class F>
  Outcome on_message(F &&handler) {
    const iothub_message_fn fn = [](const iothub_message_t *message, std::uint64_t delivery,
                                    void *user_data) {
      return static_cast<iothub_ack_t>(
          detail::call<Ack, std::decay_t<F>>(user_data, MessageView(message), delivery));
    };
    const auto c = detail::closure(fn, std::forward<F>(handler));
    return E::outcome(iothub_client_on_message(get(), c.fn, c.user_data, c.free_fn));
  }
  /// Ack handler(std::string_view input, MessageView, std::uint64_t delivery). Modules only.
  template <class F>
  Outcome on_input(F &&handler) {
    const iothub_input_fn fn = [](const char *input, const iothub_message_t *message, std::uint64_t delivery,
                                  void *user_data) {
      return static_cast<iothub_ack_t>(detail::call<Ack, std::decay_t<F>>(
          user_data, std::string_view(input), MessageView(message), delivery));
    };
    const auto c = detail::closure(fn, std::forward<F>(handler));
    return E::outcome(iothub_client_on_input(get(), c.fn, c.user_data, c.free_fn));
  }
  /// Settles what was answered with Ack::later.
  Outcome ack(std::uint64_t delivery) noexcept(E::silent) {
    return E::outcome(iothub_client_ack(get(), delivery));
  }

  /// handler(std::string_view name, std::string_view json, std::uint64_t request).
  template <class F>
  Outcome on_method(F &&handler) {
    const iothub_method_fn fn = [](const char *name, const void *json, std::size_t len, std::uint64_t request,
                                   void *user_data) {
      detail::call<void, std::decay_t<F>>(user_data, std::string_view(name), detail::view(json, len), request);
    };
    const auto c = detail::closure(fn, std::forward<F>(handler));
    return E::outcome(iothub_client_on_method(get(), c.fn, c.user_data, c.free_fn));
  }
  /// Answers a direct method, with JSON or nothing.
  Outcome respond(std::uint64_t request, std::int32_t status, Bytes json = std::string_view()) noexcept(E::silent) {
    return E::outcome(iothub_client_respond(get(), request, status, json.data(), json.size()));
  }

  /// done(Status, std::string_view json).
  template <class F>
  Outcome twin_get(F &&done) {
    const iothub_twin_fn fn = [](iothub_status_t status, const char *text, const void *json, std::size_t len,
                                 void *user_data) {
      detail::call<void, std::decay_t<F>>(user_data, Status(status, text), detail::view(json, len));
    };
    const auto c = detail::closure(fn, std::forward<F>(done));
    return E::outcome(iothub_client_twin_get(get(), c.fn, c.user_data, c.free_fn));
  }
  /// done(Status, std::uint64_t version).
  template <class F>
  Outcome twin_patch(Bytes json, F &&done) {
    const iothub_patch_fn fn = [](iothub_status_t status, const char *text, std::uint64_t version,
                                  void *user_data) {
      detail::call<void, std::decay_t<F>>(user_data, Status(status, text), version);
    };
    const auto c = detail::closure(fn, std::forward<F>(done));
    return E::outcome(iothub_client_twin_patch(get(), json.data(), json.size(), c.fn, c.user_data, c.free_fn));
  }
  /// handler(std::string_view json, std::uint64_t version).
  template <class F>
  Outcome on_desired(F &&handler) {
    const iothub_desired_fn fn = [](const void *json, std::size_t len, std::uint64_t version,
                                    void *user_data) {
      detail::call<void, std::decay_t<F>>(user_data, detail::view(json, len), version);
    };
    const auto c = detail::closure(fn, std::forward<F>(handler));
    return E::outcome(iothub_client_on_desired(get(), c.fn, c.user_data, c.free_fn));
  }

  /// Mode::manual: the descriptor to wait for; -1 otherwise.
  [[nodiscard]] int fd() const noexcept { return iothub_client_fd(get()); }
  /// iothub_client_next_timeout_ms; -1 ms: as long as the loop likes.
  [[nodiscard]] Milliseconds next_timeout() const noexcept {
    return Milliseconds(iothub_client_next_timeout_ms(get()));
  }
  /// Mode::manual: does what can be done; -1 ms waits without an end. Code::closed once the client has ended.
  Outcome process(Milliseconds timeout = Milliseconds(0)) noexcept(E::silent) {
    return E::outcome(iothub_client_process(get(), detail::number<std::int32_t>(timeout)));
  }

  /// Operations that are unfinished, and the bytes that they hold.
  struct Queued {
    std::size_t messages, bytes;
  };
  [[nodiscard]] Value<Queued> queued() const noexcept(E::silent) {
    Queued queued{};
    const iothub_status_t code = iothub_client_queued(get(), &queued.messages, &queued.bytes);
    return E::value(code, queued);
  }
  [[nodiscard]] Value<std::uint64_t> stats(Stat stat) const noexcept(E::silent) {
    std::uint64_t value = 0;
    const iothub_status_t code = iothub_client_stats(get(), static_cast<iothub_stat_t>(stat), &value);
    return E::value(code, value);
  }
  [[nodiscard]] Value<std::uint64_t> disconnects(Cause cause) const noexcept(E::silent) {
    std::uint64_t count = 0;
    const iothub_status_t code = iothub_client_disconnects(get(), static_cast<iothub_cause_t>(cause), &count);
    return E::value(code, count);
  }

  [[nodiscard]] iothub_client_t *get() const noexcept { return handle_.get(); }

 protected:
  explicit BasicClient(iothub_client_t *client) noexcept : handle_(client) {}

 private:
  template <class F>
  static void ended(iothub_status_t status, const char *text, void *user_data) {
    detail::call<void, F>(user_data, Status(status, text));
  }
  detail::Handle<iothub_client_t, iothub_client_free> handle_;
};

namespace codes {
/// One device or module.
class Client : public BasicClient<Codes> {
 public:
  /// iothub_client_new.
  static Result<Client> make(const Options &options) noexcept {
    iothub_client_t *client = nullptr;
    const iothub_status_t code = iothub_client_new(options.get(), &client);
    return Codes::value(code, Client(client));
  }

 private:
  using BasicClient::BasicClient;
};
}  // namespace codes

#ifdef __cpp_exceptions
/// One device or module. Without a callable an operation ends in a std::future, which does not block when it
/// is destroyed, and which may outlive the client.
class Client : public BasicClient<Throws> {
 public:
  /// iothub_client_new.
  explicit Client(const Options &options) : BasicClient(make(options)) {}

  using BasicClient::connect;
  [[nodiscard]] std::future<void> connect() {
    return future<void>([this](auto done) { connect(std::move(done)); });
  }
  using BasicClient::close;
  [[nodiscard]] std::future<void> close(Milliseconds timeout) {
    return future<void>([&](auto done) { close(timeout, std::move(done)); });
  }
  using BasicClient::send;
  [[nodiscard]] std::future<void> send(MessageView message) {
    return future<void>([&](auto done) { send(message, std::move(done)); });
  }
  using BasicClient::twin_get;
  [[nodiscard]] std::future<std::string> twin_get() {
    return future<std::string>([this](auto done) { twin_get(std::move(done)); });
  }
  using BasicClient::twin_patch;
  /// The version of the reported properties, 0 where the hub did not tell it.
  [[nodiscard]] std::future<std::uint64_t> twin_patch(Bytes json) {
    return future<std::uint64_t>([&](auto done) { twin_patch(json, std::move(done)); });
  }

 private:
  static iothub_client_t *make(const Options &options) {
    iothub_client_t *client = nullptr;
    Throws::outcome(iothub_client_new(options.get(), &client));
    return client;
  }
  template <class T, class Start>
  static std::future<T> future(Start start) {
    std::promise<T> promise;
    std::future<T> future = promise.get_future();
    start([promise = std::move(promise)](Status status, auto... result) mutable {
      if (!status) {
        promise.set_exception(std::make_exception_ptr(Error(status)));
      } else {
        promise.set_value(T(result)...);
      }
    });
    return future;
  }
};
#endif

}  // namespace iothub
#endif
