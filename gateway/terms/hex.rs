/// The 32 lower-case hexadecimal digits of a number. A number that has fewer begins with zeros.
#[must_use]
pub fn hex(number: u128) -> [u8; 32] {
    let mut digits = [0; 32];
    let (pairs, _) = digits.as_chunks_mut::<2>();
    for (pair, byte) in pairs.iter_mut().zip(number.to_be_bytes()) {
        *pair = [byte >> 4, byte & 15].map(|nibble| nibble + if nibble < 10 { b'0' } else { b'a' - 10 });
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_are_those_that_everybody_writes() {
        for number in [0, 1, 0x9f, u128::from(u64::MAX), 0x0123_4567_89ab_cdef << 60, u128::MAX] {
            assert_eq!(String::from_utf8(hex(number).to_vec()).unwrap(), format!("{number:032x}"));
        }
    }
}
