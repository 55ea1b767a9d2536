// Callables: each is destroyed once, wherever the client ends.
#include <functional>
#include <optional>

#include "check.hpp"

using iothub::Ack, iothub::Cause, iothub::Client, iothub::Code, iothub::Message, iothub::MessageView,
    iothub::Options, iothub::State, iothub::Status;

namespace {

Tally alive;

void on_status(State, Cause, Status) {}

// Every kind of thing that can be called, in place of one another.
void kinds() {
  Client client(local());
  client.on_status([counted = Counted(alive)](State, Cause, Status) {});
  CHECK(alive.count() == 1);
  client.on_status(on_status);
  alive.becomes(0);
  client.on_status(std::function<void(State, Cause, Status)>(&on_status));
  const auto shared = std::make_shared<Counted>(alive);
  {
    const auto copied = [shared](State, Cause, Status) {};
    client.on_status(copied);
  }
  CHECK(shared.use_count() == 2);
  client.on_status([last = Counted(alive)](State, Cause, Status) {});
  CHECK(alive.count() == 2);
  client.on_status(nullptr);
  alive.becomes(1);
  client.on_message([counted = Counted(alive)](MessageView, std::uint64_t) mutable { return Ack::now; });
  client.on_method([counted = Counted(alive)](std::string_view, std::string_view, std::uint64_t) {});
  client.on_desired([counted = Counted(alive)](std::string_view, std::uint64_t) {});
  throws(Code::unsupported, "", [&] {
    client.on_input([counted = Counted(alive)](std::string_view, MessageView, std::uint64_t) { return Ack::now; });
  });
  CHECK(alive.count() == 4);  // with the shared one
  // In place of a client that still has some.
  client = Client(local("HUB_SECOND"));
  CHECK(alive.count() == 1);
}

// Unfinished operations and handlers, with the destructor, connected or not.
void destroyed(bool connected) {
  int closed = 0;
  {
    Options options = local();
    options.set_in_flight(1);
    Client client(options);
    client.on_status([counted = Counted(alive)](State, Cause, Status) {});
    if (connected) get(client.connect());
    const Message message("m");
    for (int number = 0; number < 900; number++) {
      client.send(message, [&closed, counted = Counted(alive)](Status status) {
        if (status.code() == Code::closed) closed++;
      });
    }
  }
  CHECK(alive.count() == 0);
  CHECK(connected ? closed > 0 : closed == 900);
}

// Inside its own callback.
void freed_inside(bool by_destructor) {
  Said said;
  std::optional<Client> client(local());
  client->send(Message("unsent"), nullptr);
  client->on_method([counted = Counted(alive)](std::string_view, std::string_view, std::uint64_t) {});
  client->on_status([&, counted = Counted(alive)](State state, Cause, Status) {
    if (state != State::connecting) return;
    client->twin_get([&](Status status, std::string_view) { said(status.name()); });
    by_destructor ? client.reset() : client->free();
    CHECK(alive.count() == 1);  // this one, which is destroyed after it
    said("freed");
  });
  client->connect(nullptr);
  said.expect("IOTHUB_E_CLOSED");
  said.expect("freed");
  if (!by_destructor) {
    CHECK(client->get() == nullptr);
    throws(Code::argument, "", [&] { client->ack(1); });
    client->free();
  }
}

void logged() {
  Said said;
  iothub::log_to(5, [&said, counted = Counted(alive)](std::int32_t level, std::string_view target,
                                                      std::string_view text) {
    CHECK(level >= 1 && level <= 5 && !target.empty() && !text.empty());
    said("line");
  });
  {
    Client client(local());
    get(client.connect());
    said.expect("line");
  }
  iothub::log_to(0, nullptr);
  throws(Code::argument, "level", [] { iothub::log_to(6, [](int, std::string_view, std::string_view) {}); });
}

}  // namespace

int main() {
  kinds();
  destroyed(false);
  destroyed(true);
  freed_inside(false);
  freed_inside(true);
  logged();
  return 0;
}
