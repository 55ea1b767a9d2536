// Credentials of each kind but keys: argv[1] says which. What is signed goes to the runner, which has the key.
#include <optional>

#include "check.hpp"

using iothub::Client, iothub::Message, iothub::Options;

namespace {

// "sign 0403 (hexadecimal)" to the runner, and its answer.
std::optional<std::string> ask(std::int32_t scheme, std::string_view data) {
  std::string line = "sign ";
  const auto add = [&line](unsigned number, int digits) {
    char text[9];
    snprintf(text, sizeof text, "%0*x", digits, number);
    line += text;
  };
  add(static_cast<unsigned>(scheme), 4);
  line += ' ';
  for (const char byte : data) add(static_cast<unsigned char>(byte), 2);
  say(line.c_str());
  char answer[3000];
  CHECK(fgets(answer, sizeof answer, stdin) != nullptr);
  if (strcmp(answer, "locked\n") == 0) return std::nullopt;
  if (strcmp(answer, "too long\n") == 0) return std::string(IOTHUB_MAX_SIGNATURE + 1, 'x');
  std::string signature;
  for (const char *at = answer; *at != '\n'; at += 2) {
    signature += static_cast<char>(std::stoi(std::string(at, 2), nullptr, 16));
  }
  return signature;
}

// Set again and again: what is replaced is destroyed.
void configure(Options &options, const std::string &kind, Tally &alive) {
  if (kind == "signer") {
    options.set_sas_signer([counted = Counted(alive)](std::string_view) { return std::nullopt; });
    options.set_sas_signer([counted = Counted(alive)](std::string_view data) { return ask(0, data); });
  } else if (kind == "source") {
    options.set_sas_token_source([counted = Counted(alive)] { return given("TOKEN"); });
  } else if (kind == "files") {
    options.set_x509_files(given("CERT_FILE"), given("KEY_FILE"));
  } else if (kind == "tls") {
    const auto sign = [](std::int32_t scheme, std::string_view data) { return ask(scheme, data); };
    throws(iothub::Code::argument, "certificate", [&] { options.set_x509_signer("no PEM", sign); });
    throws(iothub::Code::argument, "fn", [&] { options.set_x509_signer(given("CERT"), nullptr); });
    options.set_x509_signer(given("CERT"), sign);
  } else {
    CHECK(kind == "edge");
    options.set_edge_environment();
  }
}

}  // namespace

int main(int, char **argv) {
  const std::string kind = argv[1];
  Tally alive;
  {
    Options options;
    if (kind != "edge") {
      options.set_identity(given("HUB_NAME"), given("DEVICE"));
      options.set_trusted_roots(given("HUB_CA"));
    }
    options.set_port(given_port());
    options.set_backoff(10ms, 50ms);
    options.set_slow_backoff(50ms, 100ms);
    configure(options, kind, alive);
    CHECK(alive.count() == (kind == "signer" || kind == "source" ? 1 : 0));
    Client client(options);
    client.on_status([](iothub::State, iothub::Cause, iothub::Status why) {
      if (!why) say(why.detail());
    });
    client.connect(nullptr);
    get(client.send(Message(kind)));
    say("sent");
  }
  alive.becomes(0);
  return 0;
}
