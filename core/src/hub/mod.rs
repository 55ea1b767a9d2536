//! The rules of IoT Hub, pure: no socket, no clock, no thread.
