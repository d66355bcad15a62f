use zeroize::Zeroize as _;

/// HChaCha20 (draft-irtf-cfrg-xchacha §2.2): makes of a key and the first 16 bytes of a nonce a key for this nonce alone.
/// What comes after it is plain ChaCha20-Poly1305, so that this is all that must be added to get its long nonces, which
/// may be chosen by chance.
pub(crate) fn hchacha20(key: &[u8; 32], nonce: &[u8; 16]) -> [u8; 32] {
    const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];
    let mut state = [0_u32; 16];
    let words = key.as_chunks::<4>().0.iter().chain(nonce.as_chunks::<4>().0);
    let words = CONSTANTS.into_iter().chain(words.map(|word| u32::from_le_bytes(*word)));
    for (to, from) in state.iter_mut().zip(words) {
        *to = from;
    }
    for _ in 0..10 {
        double_round(&mut state);
    }
    let mut derived = [0; 32];
    let [a, b, c, d, _, _, _, _, _, _, _, _, m, n, o, p] = state;
    for (to, from) in derived.as_chunks_mut::<4>().0.iter_mut().zip([a, b, c, d, m, n, o, p]) {
        *to = from.to_le_bytes();
    }
    state.zeroize(); // it could be turned back to the key
    derived
}

/// Each column, then each diagonal (RFC 8439 §2.3).
fn double_round(state: &mut [u32; 16]) {
    macro_rules! quarter {
        ($a:literal $b:literal $c:literal $d:literal) => {
            state[$a] = state[$a].wrapping_add(state[$b]);
            state[$d] = (state[$d] ^ state[$a]).rotate_left(16);
            state[$c] = state[$c].wrapping_add(state[$d]);
            state[$b] = (state[$b] ^ state[$c]).rotate_left(12);
            state[$a] = state[$a].wrapping_add(state[$b]);
            state[$d] = (state[$d] ^ state[$a]).rotate_left(8);
            state[$c] = state[$c].wrapping_add(state[$d]);
            state[$b] = (state[$b] ^ state[$c]).rotate_left(7);
        };
    }
    quarter!(0 4 8 12);
    quarter!(1 5 9 13);
    quarter!(2 6 10 14);
    quarter!(3 7 11 15);
    quarter!(0 5 10 15);
    quarter!(1 6 11 12);
    quarter!(2 7 8 13);
    quarter!(3 4 9 14);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::bytes;

    /// draft-irtf-cfrg-xchacha-03 §2.2.1.
    #[test]
    fn a_subkey_is_the_one_that_the_draft_gives() {
        let key = bytes("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
        let nonce = bytes("000000090000004a0000000031415927");
        let derived = hchacha20(&key.try_into().unwrap(), &nonce.try_into().unwrap());
        assert_eq!(derived.to_vec(), bytes("82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"));
    }
}
