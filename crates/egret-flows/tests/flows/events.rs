//! Server-sent events, as the HTML Living Standard has them (section 9.2.6).

use egret_flows::events::{Event, Reader};

fn read(limit: usize, pieces: &[&[u8]]) -> Vec<Event> {
    let mut reader = Reader::new(limit);
    let mut events = Vec::new();
    for piece in pieces {
        reader.feed(piece, |event| events.push(event));
    }
    events
}

fn event(name: Option<&str>, data: &str) -> Event {
    Event {
        name: name.map(str::to_owned),
        data: data.to_owned().into(),
        length: data.len() as u64,
        truncated: false,
    }
}

#[test]
fn the_examples_of_the_standard_are_read_as_it_says() {
    let first = b"data: YHOO\ndata: +2\ndata: 10\n\n";
    assert_eq!(read(100, &[first]), [event(None, "YHOO\n+2\n10")]);
    let second =
        b": test stream\n\ndata: first event\nid: 1\n\ndata:second event\nid\n\ndata:  third event\n\n";
    let expected = [event(None, "first event"), event(None, "second event"), event(None, " third event")];
    assert_eq!(read(100, &[second]), expected);
    // The last block is not complete.
    assert_eq!(read(100, &[b"data\n\ndata\ndata\n\ndata:"]), [event(None, ""), event(None, "\n")]);
    assert_eq!(read(100, &[b"\xef\xbb\xbfdata: a\n\n"]), [event(None, "a")]);
}

#[test]
fn an_event_without_data_is_none_and_its_name_is_not_the_next_ones() {
    assert_eq!(
        read(100, &[b"event: a\n\nevent: b\ndata: 1\n\ndata: 2\n\n"]),
        [event(Some("b"), "1"), event(None, "2")]
    );
}

#[test]
fn pieces_are_cut_anywhere_and_lines_end_in_any_way() {
    let whole = b"event: tick\r\ndata: one\r\n\r\ndata: two\r\rdata: three\n\n";
    let expected = [event(Some("tick"), "one"), event(None, "two"), event(None, "three")];
    for at in 0..=whole.len() {
        assert_eq!(read(100, &[&whole[..at], &whole[at..]]), expected, "cut at {at}");
    }
    let bytes: Vec<&[u8]> = whole.chunks(1).collect();
    assert_eq!(read(100, &bytes), expected);
}

#[test]
fn what_is_too_long_is_cut_and_says_so() {
    let long = format!("data: {}\ndata: more\n\ndata: next\n\n", "x".repeat(5000));
    let events = read(10, &[long.as_bytes()]);
    assert_eq!(
        (&events[0].data[..], events[0].truncated, events[0].length),
        (&b"xxxxxxxxxx"[..], true, 5005)
    );
    assert_eq!(events[1], event(None, "next"));
}
