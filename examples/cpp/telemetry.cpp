// A device: sends three readings and prints what the hub sends to it, until it has got one message.

#include <cstdlib>
#include <fstream>
#include <future>
#include <iostream>
#include <iothub_mqtt.hpp>
#include <iterator>
#include <string>
#include <vector>

using namespace std::chrono_literals;

// The local hub listens on a port of its own and has an authority of its own; a hub in Azure needs neither.
static void use_local_hub(iothub::Options &options) {
    if (const char *port = std::getenv("IOTHUB_PORT")) {
        options.set_port(static_cast<std::uint16_t>(std::atoi(port)));
    }
    if (const char *path = std::getenv("IOTHUB_TRUSTED_ROOTS")) {
        std::ifstream file(path);
        options.set_trusted_roots(std::string(std::istreambuf_iterator<char>(file), {}));
    }
}

static void run(const std::string &connection_string) {
    std::promise<void> received;
    iothub::Options options(connection_string);
    use_local_hub(options);
    iothub::Client client(options);

    client.on_status([](iothub::State state, iothub::Cause cause, iothub::Status why) {
        static const char *const names[] = {"disconnected", "connecting", "connected", "closed"};
        std::cout << "state: " << names[static_cast<int>(state)] << ", cause: " << iothub::name(cause) << ' '
                  << why.detail() << std::endl;
    });
    client.on_message([&, first = true](iothub::MessageView message, std::uint64_t delivery) mutable {
        std::cout << "received: " << message.data() << std::endl;
        for (const auto &[name, value] : message.properties()) {
            std::cout << "  " << name << " = " << value.value_or("(null)") << std::endl;
        }
        // Now, not by the return: the main thread ends the client as soon as it is told.
        client.ack(delivery);
        if (std::exchange(first, false)) received.set_value();
        return iothub::Ack::later;
    });
    client.connect(nullptr);

    std::vector<std::future<void>> sent;
    for (const char *reading : {R"({"t":21.5})", R"({"t":21.7})", R"({"t":35.0})"}) {
        iothub::Message message(reading);
        message.set_field(iothub::Field::content_type, "application/json");
        message.set_field(iothub::Field::content_encoding, "utf-8");
        message.set_property("alert", sent.size() == 2 ? "too warm" : nullptr);
        sent.push_back(client.send(message));
    }
    for (std::future<void> &one : sent) one.get();
    std::cout << "acknowledged: " << sent.size() << std::endl;
    received.get_future().wait();
    client.close(10s).get();
}

int main() {
    const char *connection_string = std::getenv("IOTHUB_CONNECTION_STRING");
    try {
        run(connection_string ? connection_string : "");
    } catch (const iothub::Error &error) {
        std::cerr << error.what() << std::endl;
        return 1;
    }
    return 0;
}
