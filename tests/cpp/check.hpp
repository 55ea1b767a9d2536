// What the test programs in C++ share: the checks of those in C, what callables have said, and what they count.
#ifndef CHECK_HPP
#define CHECK_HPP
#include <chrono>
#include <condition_variable>
#include <deque>
#include <iothub_mqtt.hpp>
#include <memory>
#include <mutex>
#include <string>

#include "../c/check.h"

using namespace std::chrono_literals;

// Only a hang takes so long.
constexpr auto PATIENCE = 60s;

// What callables have said, in order, for the main thread.
class Said {
 public:
  void operator()(std::string text) {
    const std::lock_guard<std::mutex> lock(lock_);
    said_.push_back(std::move(text));
    changed_.notify_one();
  }
  std::string next() {
    std::unique_lock<std::mutex> lock(lock_);
    CHECK(changed_.wait_for(lock, PATIENCE, [this] { return !said_.empty(); }));
    std::string text = std::move(said_.front());
    said_.pop_front();
    return text;
  }
  void expect(const std::string &expected) {
    const std::string said = next();
    if (said != expected) FAIL(("said " + said + " instead of " + expected).c_str());
  }
  bool nothing() {
    const std::lock_guard<std::mutex> lock(lock_);
    return said_.empty();
  }

 private:
  std::mutex lock_;
  std::condition_variable changed_;
  std::deque<std::string> said_;
};

// How many of something there are.
class Tally {
 public:
  void add(int number) {
    const std::lock_guard<std::mutex> lock(lock_);
    count_ += number;
    changed_.notify_one();
  }
  int count() {
    const std::lock_guard<std::mutex> lock(lock_);
    return count_;
  }
  void becomes(int count) {
    std::unique_lock<std::mutex> lock(lock_);
    CHECK(changed_.wait_for(lock, PATIENCE, [&] { return count_ == count; }));
  }

 private:
  std::mutex lock_;
  std::condition_variable changed_;
  int count_ = 0;
};

// One that is alive. It can only be moved, and so can a lambda that holds it.
class Counted {
 public:
  explicit Counted(Tally &alive) : alive_(&alive) { alive_->add(1); }
  Counted(Counted &&other) noexcept : Counted(*other.alive_) {}
  Counted(const Counted &) = delete;
  Counted &operator=(Counted &&) = delete;
  ~Counted() { alive_->add(-1); }

 private:
  Tally *alive_;
};

// The options of a device or module of the local hub, of either kind.
template <class Options>
void prepare(Options &options, const char *connection_string) {
  (void)options.set_connection_string(given(connection_string));
  (void)options.set_port(given_port());
  (void)options.set_trusted_roots(given("HUB_CA"));
  (void)options.set_backoff(10ms, 50ms);
  (void)options.set_slow_backoff(50ms, 100ms);
}

#ifdef __cpp_exceptions
inline iothub::Options local(const char *connection_string = "HUB_DEVICE") {
  iothub::Options options;
  prepare(options, connection_string);
  return options;
}

// The future in time, so that what is missing does not hang.
template <class T>
T get(std::future<T> future) {
  CHECK(future.wait_for(PATIENCE) == std::future_status::ready);
  return future.get();
}

// The call throws this code, with this in its sentence.
template <class F>
void throws(iothub::Code code, const std::string &part, F &&call) {
  try {
    call();
  } catch (const iothub::Error &error) {
    const std::string what = error.what();
    if (error.code() != code || what.find(part) == std::string::npos) FAIL(error.what());
    CHECK(what == std::string(iothub::name(code)) + ": " + error.detail());
    return;
  }
  FAIL(("nothing thrown: " + part).c_str());
}
#endif
#endif
