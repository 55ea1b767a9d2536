// Messages: one's own, and a view of one that C lends.
// Part of iothub_mqtt.hpp.
#ifndef IOTHUB_MQTT_MESSAGE_HPP
#define IOTHUB_MQTT_MESSAGE_HPP

#include <cstddef>
#include <iterator>
#include <optional>

#include "call.hpp"
#include "status.hpp"

namespace iothub {

/// iothub_field_t.
enum class Field : iothub_field_t {
  message_id = IOTHUB_MESSAGE_ID,
  correlation_id = IOTHUB_CORRELATION_ID,
  content_type = IOTHUB_CONTENT_TYPE,
  content_encoding = IOTHUB_CONTENT_ENCODING,
  output_name = IOTHUB_OUTPUT_NAME,
  component = IOTHUB_COMPONENT,
  creation_time = IOTHUB_CREATION_TIME,
  user_id = IOTHUB_USER_ID,
  to = IOTHUB_TO,
  expiry = IOTHUB_EXPIRY,
  interface_id = IOTHUB_INTERFACE_ID,
};

/// A property of a message. Both texts are borrowed from it and end with NUL.
struct Property {
  std::string_view name;
  /// Nothing for a property without a value, which is not the empty text.
  std::optional<std::string_view> value;
};

/// The properties of a message, in the order in which they were set, for a range-based for.
class Properties {
 public:
  class Iterator {
   public:
    using iterator_category = std::input_iterator_tag;
    using value_type = Property;
    using difference_type = std::ptrdiff_t;
    using pointer = const Property *;
    using reference = Property;
    Iterator(const iothub_message_t *message, std::size_t index) noexcept : message_(message), index_(index) {}
    /// iothub_message_property_at.
    [[nodiscard]] Property operator*() const noexcept {
      const char *name = "", *value = nullptr;
      iothub_message_property_at(message_, index_, &name, &value);
      return {name, value ? std::optional<std::string_view>(value) : std::nullopt};
    }
    Iterator &operator++() noexcept {
      ++index_;
      return *this;
    }
    Iterator operator++(int) noexcept {
      Iterator before = *this;
      ++index_;
      return before;
    }
    [[nodiscard]] bool operator==(const Iterator &other) const noexcept { return index_ == other.index_; }
    [[nodiscard]] bool operator!=(const Iterator &other) const noexcept { return index_ != other.index_; }

   private:
    const iothub_message_t *message_;
    std::size_t index_;
  };

  explicit Properties(const iothub_message_t *message) noexcept : message_(message) {}
  [[nodiscard]] Iterator begin() const noexcept { return {message_, 0}; }
  [[nodiscard]] Iterator end() const noexcept { return {message_, size()}; }
  /// iothub_message_property_count.
  [[nodiscard]] std::size_t size() const noexcept { return iothub_message_property_count(message_); }

 private:
  const iothub_message_t *message_;
};

/// A message to be read: one's own, or one that a handler was given, which is valid until that returns.
class MessageView {
 public:
  explicit MessageView(const iothub_message_t *message) noexcept : message_(message) {}
  /// iothub_message_data.
  [[nodiscard]] std::string_view data() const noexcept {
    std::size_t len = 0;
    const void *data = iothub_message_data(message_, &len);
    return detail::view(data, len);
  }
  /// iothub_message_field: nothing where it is absent.
  [[nodiscard]] std::optional<std::string_view> field(Field field) const noexcept {
    return optional(iothub_message_field(message_, static_cast<iothub_field_t>(field)));
  }
  /// iothub_message_property: nothing where it is absent or has no value.
  [[nodiscard]] std::optional<std::string_view> property(Text name) const noexcept {
    return optional(iothub_message_property(message_, name.get()));
  }
  [[nodiscard]] Properties properties() const noexcept { return Properties(message_); }
  [[nodiscard]] const iothub_message_t *get() const noexcept { return message_; }

 private:
  static std::optional<std::string_view> optional(const char *text) noexcept {
    return text ? std::optional<std::string_view>(text) : std::nullopt;
  }
  const iothub_message_t *message_;
};

/// What Message and codes::Message share.
template <class E>
class BasicMessage {
 public:
  /// iothub_message_set_field.
  typename E::Outcome set_field(Field field, Text value) noexcept(E::silent) {
    return E::outcome(iothub_message_set_field(get(), static_cast<iothub_field_t>(field), value.get()));
  }
  /// iothub_message_set_property: nullptr is a property without a value.
  typename E::Outcome set_property(Text name, Text value) noexcept(E::silent) {
    return E::outcome(iothub_message_set_property(get(), name.get(), value.get()));
  }
  [[nodiscard]] MessageView view() const noexcept { return MessageView(get()); }
  operator MessageView() const noexcept { return view(); }
  [[nodiscard]] iothub_message_t *get() const noexcept { return handle_.get(); }

 protected:
  explicit BasicMessage(iothub_message_t *message) noexcept : handle_(message) {}
  static iothub_status_t make(Bytes body, iothub_message_t **out) noexcept {
    return iothub_message_new(body.data(), body.size(), out);
  }

 private:
  detail::Handle<iothub_message_t, iothub_message_free> handle_;
};

namespace codes {
/// A message of one's own.
class Message : public BasicMessage<Codes> {
 public:
  /// iothub_message_new, with a copy of the body.
  static Result<Message> make(Bytes body) noexcept {
    iothub_message_t *message = nullptr;
    const iothub_status_t code = BasicMessage::make(body, &message);
    return Codes::value(code, Message(message));
  }

 private:
  using BasicMessage::BasicMessage;
};
}  // namespace codes

#ifdef __cpp_exceptions
/// A message of one's own.
class Message : public BasicMessage<Throws> {
 public:
  /// iothub_message_new, with a copy of the body.
  explicit Message(Bytes body) : BasicMessage(make(body)) {}

 private:
  static iothub_message_t *make(Bytes body) {
    iothub_message_t *message = nullptr;
    Throws::outcome(BasicMessage::make(body, &message));
    return message;
  }
};
#endif

}  // namespace iothub
#endif
