//! Names that were probably meant, for messages of the compiler and of the VM.

/// The known name that `name` is probably meant to be: one that has most of it in common, at least a letter.
pub fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let most = (name.chars().count() / 3).max(1);
    known
        .filter(|k| !k.starts_with("__") && !k.is_empty() && *k != name)
        .map(|k| (distance(name, k, most + 1), k))
        .min()
        .filter(|(d, k)| *d <= most && *d < name.chars().count().max(k.chars().count()))
        .map(|(_, k)| k)
}

/// `; did you mean 'length'?` if one of the known names is close to the one that is not.
pub fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    nearest(name, known).map_or_else(String::new, |k| format!("; did you mean '{k}'?"))
}

/// Edit distance with transpositions (Damerau-Levenshtein, optimal string alignment), `cap` if it is at least that.
fn distance(a: &str, b: &str, cap: usize) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) >= cap {
        return cap;
    }
    let mut before: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let same = a[i - 1] == b[j - 1];
            let mut d = (last[j] + 1)
                .min(row[j - 1] + 1)
                .min(last[j - 1] + !same as usize);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                d = d.min(before[j - 2] + 1);
            }
            row.push(d);
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()].min(cap)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_found_and_another_name_is_not() {
        let known = ["total", "x", "y", "count", "__hidden"];
        let nearest = |name| nearest(name, known.into_iter());
        assert_eq!(nearest("totl"), Some("total"));
        assert_eq!(nearest("tota"), Some("total"));
        assert_eq!(nearest("cuont"), Some("count"));
        assert_eq!(nearest("xs"), Some("x"));
        // One letter has nothing in common with another one.
        assert_eq!(nearest("z"), None);
        assert_eq!(nearest("angle"), None);
        assert_eq!(nearest("_hidden"), None);
    }
}
