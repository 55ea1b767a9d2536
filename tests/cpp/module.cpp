// A module: inputs, outputs, and what it has not.
#include "check.hpp"

using iothub::Ack, iothub::Client, iothub::Code, iothub::Message, iothub::MessageView;

int main() {
  Said said;
  std::uint64_t later = 0;
  Client device(local()), module(local("HUB_MODULE"));
  const auto on_input = [&](std::string_view input, MessageView message, std::uint64_t delivery) {
    CHECK(input == "frames in" && message.data() == "frame");
    CHECK(message.property("camera") == "left & right");
    said("frame");
    if (later != 0) return Ack::now;
    later = delivery;
    return Ack::later;
  };
  throws(Code::unsupported, "inputs", [&] { device.on_input(on_input); });
  throws(Code::unsupported, "", [&] { module.on_message([](MessageView, std::uint64_t) { return Ack::now; }); });
  module.on_input(on_input);
  get(module.connect());
  say("ready");
  said.expect("frame");
  said.expect("frame");
  module.ack(later);
  Message message("seen");
  message.set_field(iothub::Field::output_name, "results");
  get(module.send(message));
  return 0;
}
