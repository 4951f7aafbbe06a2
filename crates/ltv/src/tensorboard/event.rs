//! The few messages of TensorFlow's `event.proto` and `summary.proto` that scalars need, as protocol
//! buffers.
//!
//! | message | field | number, type |
//! |---|---|---|
//! | `Event` | `wall_time` | 1, double |
//! | | `step` | 2, int64 |
//! | | `file_version` | 3, string |
//! | | `summary` | 5, `Summary` |
//! | | `session_log` | 7, `SessionLog` |
//! | `Summary` | `value` | 1, repeated `Value` |
//! | `Value` | `tag` | 1, string |
//! | | `simple_value` | 2, float |
//! | `SessionLog` | `status` | 1, enum; `START` = 1 |

/// What a file says first.
const VERSION: &str = "brain.Event:2";

/// One event, encoded.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Event(Message);

impl Event {
    /// Which version of the format follows.
    pub(super) fn version(wall_time: f64) -> Self {
        let mut event = Message::default();
        event.double(1, wall_time);
        event.bytes(3, VERSION.as_bytes());
        Self(event)
    }

    /// A session starts: what earlier files say of this step and later ones is void.
    pub(super) fn start(wall_time: f64, step: u64) -> Self {
        let mut log = Message::default();
        log.integer(1, 1);
        let mut event = at(wall_time, step);
        event.bytes(7, &log.0);
        Self(event)
    }

    /// Values at a step, rounded to `f32`.
    pub(super) fn scalars(wall_time: f64, step: u64, values: &[(&str, f64)]) -> Self {
        let mut summary = Message::default();
        for (tag, number) in values {
            let mut value = Message::default();
            value.bytes(1, tag.as_bytes());
            value.float(2, *number as f32);
            summary.bytes(1, &value.0);
        }
        let mut event = at(wall_time, step);
        event.bytes(5, &summary.0);
        Self(event)
    }

    /// The encoded message.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0.0
    }
}

fn at(wall_time: f64, step: u64) -> Message {
    let mut event = Message::default();
    event.double(1, wall_time);
    event.integer(2, step);
    event
}

/// A message under construction: keys of field number and wire type, each with its value.
#[derive(Debug, Clone, Default, PartialEq)]
struct Message(Vec<u8>);

impl Message {
    fn key(&mut self, field: u64, wire_type: u64) {
        self.varint(field << 3 | wire_type);
    }

    /// Seven bits a byte, the lowest first; the high bit says that more follow.
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn integer(&mut self, field: u64, value: u64) {
        self.key(field, 0);
        self.varint(value);
    }

    fn double(&mut self, field: u64, value: f64) {
        self.key(field, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, field: u64, value: &[u8]) {
        self.key(field, 2);
        self.varint(value.len() as u64);
        self.0.extend(value);
    }

    fn float(&mut self, field: u64, value: f32) {
        self.key(field, 5);
        self.0.extend(value.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand, from the encoding guide of protocol buffers: 150 is `96 01`.
    #[test]
    fn messages_are_encoded_as_the_guide_says() {
        let mut message = Message::default();
        message.integer(1, 150);
        message.bytes(2, b"testing");
        let expected = b"\x08\x96\x01\x12\x07testing";
        assert_eq!(message.0, expected);
        let mut long = Message::default();
        long.varint(u64::MAX);
        let most = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01];
        assert_eq!(long.0, most);
    }

    /// Printed by TensorBoard's own `event_pb2`: `Event(wall_time=1.5, step=300,
    /// summary=Summary(value=[Value(tag="loss/total", simple_value=0.25)]))`, and its start.
    #[test]
    fn events_are_those_of_tensorboard() {
        let scalars = Event::scalars(1.5, 300, &[("loss/total", 0.25)]);
        let expected = b"\x09\0\0\0\0\0\0\xf8\x3f\x10\xac\x02\x2a\x13\x0a\x11\x0a\x0aloss/total\x15\0\0\x80\x3e";
        assert_eq!(scalars.bytes(), expected);
        let start = Event::start(1.5, 300);
        assert_eq!(
            start.bytes(),
            b"\x09\0\0\0\0\0\0\xf8\x3f\x10\xac\x02\x3a\x02\x08\x01"
        );
        let version = Event::version(1.5);
        assert_eq!(
            version.bytes(),
            b"\x09\0\0\0\0\0\0\xf8\x3f\x1a\x0dbrain.Event:2"
        );
    }
}
