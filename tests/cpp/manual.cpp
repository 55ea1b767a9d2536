// The loop is the program's: callables run in it, and nowhere else.
#include <poll.h>

#include <thread>

#include "check.hpp"

using iothub::Ack, iothub::Client, iothub::Code, iothub::MessageView, iothub::Options, iothub::Status;

int main() {
  Options options = local();
  throws(Code::argument, "mode", [&] { options.set_mode(static_cast<iothub::Mode>(7)); });
  options.set_mode(iothub::Mode::manual);
  Client client(options);
  const std::thread::id here = std::this_thread::get_id();
  bool received = false, closed = false;
  client.on_message([&](MessageView message, std::uint64_t) {
    CHECK(std::this_thread::get_id() == here && message.data() == "to be received");
    received = true;
    throws(Code::state, "", [&] { client.process(); });
    return Ack::now;
  });
  std::future<void> connected = client.connect(), sent = client.send(iothub::Message("m"));
  CHECK(client.next_timeout() == -1ms);
  throws(Code::argument, "timeout", [&] { client.process(std::chrono::milliseconds::min()); });
  const auto ready = [](const std::future<void> &future) { return future.wait_for(0s) == std::future_status::ready; };
  while (!received || !ready(sent)) {
    pollfd waiting{client.fd(), POLLIN, 0};
    CHECK(poll(&waiting, 1, 60000) == 1);
    client.process();
  }
  connected.get();
  sent.get();
  client.close(60s, [&](Status status) { closed = static_cast<bool>(status); });
  try {
    for (;;) client.process(-1ms);
  } catch (const iothub::Error &error) {
    CHECK(error.code() == Code::closed && closed);
  }
  CHECK(Client(local()).fd() == -1);
  return 0;
}
