//! Header fields in their order and case, in two allocations however many there are.

use std::fmt;

use serde::de::{SeqAccess, Visitor};
use serde::ser::SerializeSeq;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Header or trailer fields, as they were sent.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers {
    bytes: Box<[u8]>,
    /// Where each name ends, and where its value does. A name begins where the value before it ends.
    ends: Box<[(u32, u32)]>,
}

impl Headers {
    /// The fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut start = 0;
        self.ends.iter().map(move |&(name_end, value_end)| {
            let (name_end, value_end) = (name_end as usize, value_end as usize);
            let field = (&self.bytes[start..name_end], &self.bytes[name_end..value_end]);
            start = value_end;
            field
        })
    }

    /// How many fields there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// There are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The values of all fields with this name, whatever its case.
    pub fn all<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// The value of the first field with this name, whatever its case.
    #[must_use]
    pub fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// [`Headers::first`] as text, if it is that.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.first(name.as_bytes())?).ok()
    }

    /// From pairs of text.
    #[must_use]
    pub fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut builder = HeadersBuilder::default();
        for (name, value) in pairs {
            builder.push(name.as_bytes(), value.as_bytes());
        }
        builder.finish()
    }

    /// About how many bytes it takes.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.bytes.len() + self.ends.len() * 8
    }

    /// How many bytes the fields take on the wire in HTTP/1.1, the empty line at their end included.
    #[must_use]
    pub fn wire_bytes(&self) -> usize {
        self.bytes.len() + self.ends.len() * 4 + 2
    }
}

impl fmt::Debug for Headers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.iter().map(|(n, v)| (n.escape_ascii().to_string(), v.escape_ascii().to_string())))
            .finish()
    }
}

/// Collects the fields of [`Headers`].
#[derive(Debug, Default)]
pub struct HeadersBuilder {
    bytes: Vec<u8>,
    ends: Vec<(u32, u32)>,
}

impl HeadersBuilder {
    /// Adds a field. What would make it larger than 4 GiB is left out.
    pub fn push(&mut self, name: &[u8], value: &[u8]) {
        let name_end = self.bytes.len() + name.len();
        let Ok(value_end) = u32::try_from(name_end + value.len()) else { return };
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        self.ends.push((value_end - value.len() as u32, value_end));
    }

    /// The fields.
    #[must_use]
    pub fn finish(self) -> Headers {
        Headers { bytes: self.bytes.into(), ends: self.ends.into() }
    }
}

/// Bytes as text: UTF-8 if they are that, else each byte is a character of ISO-8859-1.
pub(crate) fn shown(bytes: &[u8]) -> (std::borrow::Cow<'_, str>, bool) {
    match std::str::from_utf8(bytes) {
        Ok(text) => (text.into(), false),
        Err(_) => (bytes.iter().map(|byte| char::from(*byte)).collect::<String>().into(), true),
    }
}

#[derive(Serialize)]
struct Field<'a> {
    name: std::borrow::Cow<'a, str>,
    value: std::borrow::Cow<'a, str>,
    /// Name and value are no UTF-8; each character is a byte.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    latin1: bool,
}

impl Serialize for Headers {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut seq = to.serialize_seq(Some(self.len()))?;
        for (name, value) in self.iter() {
            let ((name_text, name_latin1), (value_text, value_latin1)) = (shown(name), shown(value));
            let latin1 = name_latin1 || value_latin1;
            let text = |bytes: &[u8]| bytes.iter().map(|byte| char::from(*byte)).collect::<String>();
            let field = if latin1 {
                Field { name: text(name).into(), value: text(value).into(), latin1 }
            } else {
                Field { name: name_text, value: value_text, latin1 }
            };
            seq.serialize_element(&field)?;
        }
        seq.end()
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Headers;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of fields with name and value")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Headers, A::Error> {
                let mut builder = HeadersBuilder::default();
                while let Some(field) = seq.next_element::<Owned>()? {
                    let bytes = |text: String| match field.latin1 {
                        true => text.chars().map(|c| u8::try_from(c).unwrap_or(b'?')).collect(),
                        false => text.into_bytes(),
                    };
                    builder.push(&bytes(field.name), &bytes(field.value));
                }
                Ok(builder.finish())
            }
        }
        #[derive(Deserialize)]
        struct Owned {
            name: String,
            value: String,
            #[serde(default)]
            latin1: bool,
        }
        from.deserialize_seq(Fields)
    }
}
