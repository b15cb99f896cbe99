//! As much of DER as a public key is made of.

/// What is left of a structure.
pub(super) struct Der<'d>(&'d [u8]);

pub(super) const SEQUENCE: u8 = 0x30;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OBJECT_ID: u8 = 0x06;
const INTEGER: u8 = 0x02;

impl<'d> Der<'d> {
    pub(super) fn new(bytes: &'d [u8]) -> Self {
        Der(bytes)
    }

    /// The content of the next value, if it is of this kind.
    pub(super) fn next(&mut self, kind: u8) -> Option<&'d [u8]> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(*first), rest),
            // No key is longer than 64 KiB.
            0x81 | 0x82 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (*tag == kind).then_some(content)
    }

    /// The next value, which is a structure of its own.
    pub(super) fn sequence(&mut self) -> Option<Der<'d>> {
        self.next(SEQUENCE).map(Der)
    }

    /// The next value, which is a number from 0 on, without zeros in front.
    pub(super) fn number(&mut self) -> Option<&'d [u8]> {
        self.next(INTEGER).map(without_zeros)
    }

    /// The bytes of the next value, which is a string of bits that fills its bytes.
    pub(super) fn bits(&mut self) -> Option<&'d [u8]> {
        self.next(BIT_STRING)?.strip_prefix(&[0])
    }

    /// Whether that was all.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The same number.
pub(super) fn without_zeros(mut bytes: &[u8]) -> &[u8] {
    while let [0, rest @ ..] = bytes {
        bytes = rest;
    }
    bytes
}
