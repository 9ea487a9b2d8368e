//! Payloads that no encoder would write.

use super::{Arena, Ends, Input, Payload};
use Ends::{Closed, Refused};
use holdall_protocol::{close::Close::ProtocolError, code::Code, frame::Subprotocol};

/// `{"seq": seq, "action": {"drop": {"target": {"item": "ore"}, "quantity":` in MessagePack, then `quantity`.
fn msgpack_drop(seq: u64, quantity: &[u8]) -> Vec<u8> {
    let mut bytes = b"\x82\xa3seq\xcf".to_vec();
    bytes.extend_from_slice(&seq.to_be_bytes());
    bytes.extend_from_slice(b"\xa6action\x81\xa4drop\x82\xa6target\x81\xa4item\xa3ore\xa8quantity");
    bytes.extend_from_slice(quantity);
    bytes
}

fn json_drop(seq: u64, quantity: &str) -> Vec<u8> {
    format!(r#"{{"seq":{seq},"action":{{"drop":{{"target":{{"item":"ore"}},"quantity":{quantity}}}}}}}"#).into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_json() {
    let arena = Arena::open(|_| {}).await;
    let rows: Vec<(&str, Payload, Ends)> = vec![
        ("NaN", Box::new(|seq| json_drop(seq, "NaN")), Closed(ProtocolError)),
        ("Infinity", Box::new(|seq| json_drop(seq, "-Infinity")), Closed(ProtocolError)),
        ("a float past floats", Box::new(|seq| json_drop(seq, "1e999")), Closed(ProtocolError)),
        ("minus zero", Box::new(|seq| json_drop(seq, "-0")), Refused(Code::InvalidQuantity)),
        ("a number of 5,000 digits", Box::new(|seq| json_drop(seq, &"9".repeat(5_000))), Closed(ProtocolError)),
        ("a number past u64", Box::new(|seq| json_drop(seq, "18446744073709551616")), Refused(Code::InvalidQuantity)),
        ("hexadecimal", Box::new(|seq| json_drop(seq, "0x5")), Closed(ProtocolError)),
        ("a leading zero", Box::new(|seq| json_drop(seq, "05")), Closed(ProtocolError)),
        ("a quantity twice", Box::new(|seq| json_drop(seq, r#"1,"quantity":1"#)), Closed(ProtocolError)),
        (
            "a seq twice",
            Box::new(|seq| format!(r#"{{"seq":{seq},"seq":{seq},"action":{{"sort":{{}}}}}}"#).into_bytes()),
            Closed(ProtocolError),
        ),
        (
            "an action twice",
            Box::new(|seq| format!(r#"{{"seq":{seq},"action":{{"sort":{{}},"sort":{{}}}}}}"#).into_bytes()),
            Closed(ProtocolError),
        ),
        ("something behind it", Box::new(|seq| [json_drop(seq, "0"), b"{}".to_vec()].concat()), Closed(ProtocolError)),
        ("half of it", Box::new(|seq| json_drop(seq, "")), Closed(ProtocolError)),
        ("nothing", Box::new(|_| Vec::new()), Closed(ProtocolError)),
        (
            "a byte-order mark",
            Box::new(|seq| [b"\xef\xbb\xbf".to_vec(), json_drop(seq, "0")].concat()),
            Closed(ProtocolError),
        ),
        ("no text at all", Box::new(|_| b"\xff\xfe\xfd".to_vec()), Closed(ProtocolError)),
        (
            "a surrogate alone",
            Box::new(|seq| format!(r#"{{"seq":{seq},"action":{{"count":{{"item":"\ud800"}}}}}}"#).into_bytes()),
            Closed(ProtocolError),
        ),
        ("8,000 lists in each other", Box::new(|_| [b'['; 8_000].to_vec()), Closed(ProtocolError)),
        (
            "2,000 maps in each other, in a field that nobody reads",
            Box::new(|seq| {
                let deep = format!("{}1{}", r#"{"a":"#.repeat(2_000), "}".repeat(2_000));
                format!(r#"{{"seq":{seq},"x":{deep},"action":{{"fly":{{}}}}}}"#).into_bytes()
            }),
            Closed(ProtocolError),
        ),
        (
            "a map of 1,500 fields that nobody reads",
            Box::new(|seq| {
                let fields: String = (0..1_500).map(|at| format!(r#""{at}":0,"#)).collect();
                format!(r#"{{{fields}"seq":{seq},"action":{{"fly":{{}}}}}}"#).into_bytes()
            }),
            Refused(Code::UnknownAction),
        ),
    ];
    for (name, payload, ends) in &rows {
        arena.expect(name, Subprotocol::Json, &Input::Payload(payload), *ends).await;
    }
    arena.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_messagepack() {
    let arena = Arena::open(|_| {}).await;
    let nan = [b"\xcb".as_slice(), &f64::NAN.to_be_bytes()].concat();
    let infinity = [b"\xca".as_slice(), &f32::INFINITY.to_be_bytes()].concat();
    let rows: Vec<(&str, Payload, Ends)> = vec![
        ("NaN", Box::new(move |seq| msgpack_drop(seq, &nan)), Refused(Code::InvalidQuantity)),
        ("infinity", Box::new(move |seq| msgpack_drop(seq, &infinity)), Refused(Code::InvalidQuantity)),
        ("nil", Box::new(|seq| msgpack_drop(seq, b"\xc0")), Closed(ProtocolError)),
        ("the byte that is never used", Box::new(|seq| msgpack_drop(seq, b"\xc1")), Closed(ProtocolError)),
        ("an extension", Box::new(|seq| msgpack_drop(seq, b"\xd4\x01\x05")), Closed(ProtocolError)),
        ("bytes for a number", Box::new(|seq| msgpack_drop(seq, b"\xc4\x01\x05")), Closed(ProtocolError)),
        ("a text of 4 GB", Box::new(|seq| msgpack_drop(seq, b"\xdb\xff\xff\xff\xff")), Closed(ProtocolError)),
        ("a map of 4 billion", Box::new(|_| b"\xdf\xff\xff\xff\xff\xa3seq\x01".to_vec()), Closed(ProtocolError)),
        ("a list of 4 billion", Box::new(|_| b"\xdd\xff\xff\xff\xff\x01".to_vec()), Closed(ProtocolError)),
        (
            "a gift of 4 billion lines",
            Box::new(|seq| {
                let mut bytes = b"\x82\xa3seq\xcf".to_vec();
                bytes.extend_from_slice(&seq.to_be_bytes());
                bytes.extend_from_slice(b"\xa6action\x81\xa4gift\x82\xa2to\xa1x\xa5items\xdd\xff\xff\xff\xff");
                bytes
            }),
            Closed(ProtocolError),
        ),
        (
            "something behind it",
            Box::new(|seq| [msgpack_drop(seq, b"\x00"), b"\x00".to_vec()].concat()),
            Closed(ProtocolError),
        ),
        ("half of it", Box::new(|seq| msgpack_drop(seq, b"")), Closed(ProtocolError)),
        ("nothing", Box::new(|_| Vec::new()), Closed(ProtocolError)),
        (
            "a quantity twice",
            Box::new(|seq| {
                let mut bytes = msgpack_drop(seq, b"\x01\xa8quantity\x01");
                let body = bytes.windows(5).position(|window| window == b"drop\x82").expect("the body") + 4;
                bytes[body] = 0x83;
                bytes
            }),
            Closed(ProtocolError),
        ),
        ("8,000 lists in each other", Box::new(|_| vec![0x91; 8_000]), Closed(ProtocolError)),
        (
            "200 lists in a field that nobody reads",
            Box::new(|_| {
                [b"\x83\xa1x".to_vec(), vec![0x91; 200], b"\x00\xa3seq\x01\xa6action\x81\xa4sort\x80".to_vec()].concat()
            }),
            Closed(ProtocolError),
        ),
        (
            "a text that is none",
            Box::new(|seq| {
                let mut bytes = b"\x82\xa3seq\xcf".to_vec();
                bytes.extend_from_slice(&seq.to_be_bytes());
                bytes.extend_from_slice(b"\xa6action\x81\xa5count\x81\xa4item\xa3\xff\xfe\xfd");
                bytes
            }),
            Closed(ProtocolError),
        ),
        (
            "JSON",
            Box::new(|seq| format!(r#"{{"seq":{seq},"action":{{"sort":{{}}}}}}"#).into_bytes()),
            Closed(ProtocolError),
        ),
    ];
    for (name, payload, ends) in &rows {
        arena.expect(name, Subprotocol::Msgpack, &Input::Payload(payload), *ends).await;
    }
    arena.close().await;
}
