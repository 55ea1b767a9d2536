// The same without exceptions: compiled with and without -fno-exceptions.
#include "check.hpp"

using namespace iothub::codes;
using iothub::Ack, iothub::Code, iothub::MessageView, iothub::Result, iothub::Status;

namespace {

#define GOOD(call) good((call), #call, __LINE__)
void good(Status status, const char *call, int line) {
  if (!status) fprintf(stderr, "line %d: %s: %s: %s\n", line, call, status.name(), status.detail()), _Exit(1);
}

bool refused(Status status, Code code, const char *part) {
  return status.code() == code && strstr(status.detail(), part) != nullptr;
}

}  // namespace

int main() {
  Said said;
  Result<Options> options = Options::make();
  GOOD(options.status);
  CHECK(refused(options.value.set_port(0), Code::argument, "port: 0"));
  Result<Client> none = Client::make(options.value);
  CHECK(!none && refused(none.status, Code::argument, "identity") && none.value.get() == nullptr);
  CHECK(refused(none.value.ack(1), Code::argument, "client"));
  prepare(options.value, "HUB_DEVICE");

  Result<Client> made = Client::make(options.value);
  GOOD(made.status);
  Client client = std::move(made.value);
  CHECK(made.value.get() == nullptr);
  GOOD(client.on_message([&](MessageView message, std::uint64_t) {
    said(std::string(message.data()));
    return Ack::now;
  }));
  GOOD(client.connect([&](Status status) { said(status.name()); }));
  CHECK(refused(client.connect(nullptr), Code::state, ""));
  said.expect("IOTHUB_OK");
  said.expect("to be received");  // the runner has sent it

  Result<Message> message = Message::make("m");
  GOOD(message.status);
  CHECK(refused(message.value.set_property("", "v"), Code::argument, ""));
  GOOD(message.value.set_property("k", nullptr));
  GOOD(client.send(message.value, [&, alone = std::make_unique<int>(1)](Status status) { said(status.name()); }));
  said.expect("IOTHUB_OK");
  GOOD(client.twin_patch("{}", [&](Status status, std::uint64_t) { said(status.name()); }));
  said.expect("IOTHUB_OK");
  const Result<std::uint64_t> sent = client.stats(iothub::Stat::sent);
  CHECK(sent && sent.value == 1);
  CHECK(client.queued() && client.queued().value.messages == 0);
  CHECK(refused(client.stats(static_cast<iothub::Stat>(1000)).status, Code::argument, ""));
  GOOD(client.close(60s, [&](Status status) { said(status.name()); }));
  said.expect("IOTHUB_OK");
  CHECK(refused(client.send(message.value, nullptr), Code::closed, ""));
  return 0;
}
