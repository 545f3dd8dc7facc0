//! Words in a picture, in letters of 8 by 8 pixels.

use font8x8::{BASIC_FONTS, LATIN_FONTS, UnicodeFonts};

/// The width and the height of a letter in pixels.
pub const SIDE: usize = 8;

/// The most letters of a word; of a longer one the rest becomes two dots.
const MOST: usize = 20;

/// The letters of a word that are drawn.
pub fn shortened(word: &str) -> String {
    if word.chars().count() <= MOST {
        return word.to_string();
    }
    word.chars().take(MOST - 2).chain("..".chars()).collect()
}

/// Calls `ink` with x and y of every pixel of a word. A letter beyond Latin-1 becomes a question mark.
pub fn draw(word: &str, mut ink: impl FnMut(usize, usize)) {
    for (index, letter) in word.chars().enumerate() {
        let glyph = BASIC_FONTS.get(letter).or_else(|| LATIN_FONTS.get(letter)).or_else(|| BASIC_FONTS.get('?'));
        for (y, row) in glyph.unwrap_or_default().into_iter().enumerate() {
            (0..SIDE).filter(|x| row >> x & 1 == 1).for_each(|x| ink(index * SIDE + x, y));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn drawn(word: &str) -> Vec<String> {
        let mut rows = vec![vec![' '; word.chars().count() * SIDE]; SIDE];
        draw(word, |x, y| rows[y][x] = '#');
        rows.into_iter().map(|row| row.into_iter().collect::<String>().trim_end().to_string()).collect()
    }

    #[test]
    fn letters_are_upright_and_unknown_ones_questions() {
        assert_eq!(drawn("L"), ["####", " ##", " ##", " ##", " ##   #", " ##  ##", "#######", ""]);
        assert_eq!(drawn("数"), drawn("?"));
        assert_ne!(drawn("é"), drawn("?"));
        assert_eq!(shortened(&"a".repeat(21)), format!("{}..", "a".repeat(18)));
    }
}
