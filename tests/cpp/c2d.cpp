// Cloud-to-device messages: read whole, settled now, settled later.
#include <vector>

#include "check.hpp"

using iothub::Ack, iothub::Client, iothub::Code, iothub::Field, iothub::MessageView;

int main() {
  Said said;
  std::uint64_t later = 0;
  Client client(local());
  client.on_message([&](MessageView message, std::uint64_t delivery) {
    if (message.data() == "now") {
      CHECK(message.field(Field::message_id) == "id-now");
      CHECK(!message.field(Field::correlation_id));
      CHECK(message.property("grad") == "21 \xc2\xb0""C & more=/");
      CHECK(!message.property("null") && !message.property("absent"));
      std::vector<std::string> seen;
      for (const auto &[name, value] : message.properties()) {
        seen.push_back(std::string(name) + (value ? "=" + std::string(*value) : ""));
      }
      CHECK(seen.size() == 2 && seen[0] == "grad=21 \xc2\xb0""C & more=/" && seen[1] == "null");
      client.send(message, nullptr);  // passed on as it came
      said("now");
      return Ack::now;
    }
    CHECK(message.data() == "later");
    later = delivery;
    said("later");
    return Ack::later;
  });
  get(client.connect());
  said.expect("now");
  said.expect("later");
  say("received");
  hear("settle");  // it has seen that one is settled
  throws(Code::not_found, "", [&] { client.ack(later + 1); });
  client.ack(later);
  throws(Code::not_found, "", [&] { client.ack(later); });
  hear("end");
  return 0;
}
