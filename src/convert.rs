//! Values between Rust and scripts: what may be passed, what may be asked for.
//!
//! The traits are sealed: their methods name `Scope`, which nobody outside can. Within one conversion nothing is collected, so
//! raw values may be held.

use crate::error::Error;
use crate::handle::Handle;
use heddle_vm::Value;
use heddle_vm::native::{Ctx, Trap};
use heddle_vm::object::Kind;
use heddle_vm::ops;
use std::collections::{BTreeMap, HashMap};
use std::hash::Hash;
use std::time::Duration;

/// The side of a thread that conversions see.
pub struct Scope<'a>(pub(crate) Ctx<'a>);

/// Why a conversion did not work: there is no room, or the message.
pub enum Refused {
    NoRoom,
    Message(String),
}

impl From<Trap> for Refused {
    fn from(_: Trap) -> Refused {
        Refused::NoRoom
    }
}

impl Refused {
    /// As an error of the host's API.
    pub(crate) fn into_error(self, place: &str) -> Error {
        match self {
            Refused::NoRoom => Error::new(
                "LimitError",
                format!("{place}: the engine's memory limit is reached"),
            ),
            Refused::Message(message) => Error::new("TypeError", format!("{place}: {message}")),
        }
    }
}

type Made = Result<Value, Refused>;

/// What can be given to a script: numbers, bools, strings, `()` for nil, [`Duration`], [`Handle`], and options, tuples,
/// vectors, slices and maps of such.
pub trait IntoValue {
    #[doc(hidden)]
    fn into_value(self, scope: &mut Scope<'_>) -> Made;
}

/// What a script's value can be taken as: the types of [`IntoValue`] that own what they hold. An `Option` is `None` for nil,
/// `()` takes any value, a float takes ints.
pub trait FromValue: Sized {
    /// How messages call it: `an int`.
    #[doc(hidden)]
    fn expected() -> String;
    #[doc(hidden)]
    fn from_value(value: Value, scope: &mut Scope<'_>) -> Result<Self, Refused>;
    /// A parameter of this type may be left out.
    #[doc(hidden)]
    const IS_OPTIONAL: bool = false;
}

/// `an int was expected, got a string`.
fn mismatch<T: FromValue>(value: Value, scope: &mut Scope<'_>) -> Refused {
    let got = match value {
        v if v.is_unset() => "nothing".to_string(),
        v if v.is_nil() => "nil".to_string(),
        v => {
            let name = scope.0.type_name(v);
            let article = if name.starts_with(['a', 'e', 'i', 'o', 'u']) {
                "an"
            } else {
                "a"
            };
            format!("{article} {name}")
        }
    };
    Refused::Message(format!("{} was expected, got {got}", T::expected()))
}

macro_rules! ints {
    ($($ty:ty),*) => {$(
        impl IntoValue for $ty {
            fn into_value(self, scope: &mut Scope<'_>) -> Made {
                Ok(ops::int::from_i128(scope.0.heap(), self as i128))
            }
        }
        impl FromValue for $ty {
            fn expected() -> String {
                "an int".into()
            }
            fn from_value(value: Value, scope: &mut Scope<'_>) -> Result<$ty, Refused> {
                if !ops::int::is_int(value) {
                    return Err(mismatch::<$ty>(value, scope));
                }
                scope.0.as_i128(value).and_then(|i| i.try_into().ok()).ok_or_else(|| {
                    let text = scope.0.repr_short(value);
                    Refused::Message(format!("{text} is out of range of {}", stringify!($ty)))
                })
            }
        }
    )*};
}
ints!(i8, i16, i32, i64, isize, u8, u16, u32, u64, usize);

impl IntoValue for f64 {
    fn into_value(self, scope: &mut Scope<'_>) -> Made {
        Ok(scope.0.float(self))
    }
}
impl FromValue for f64 {
    fn expected() -> String {
        "a number".into()
    }
    fn from_value(value: Value, scope: &mut Scope<'_>) -> Result<f64, Refused> {
        scope
            .0
            .as_f64(value)
            .ok_or_else(|| mismatch::<f64>(value, scope))
    }
}
impl IntoValue for f32 {
    fn into_value(self, scope: &mut Scope<'_>) -> Made {
        f64::from(self).into_value(scope)
    }
}
impl FromValue for f32 {
    fn expected() -> String {
        f64::expected()
    }
    fn from_value(value: Value, scope: &mut Scope<'_>) -> Result<f32, Refused> {
        f64::from_value(value, scope).map(|f| f as f32)
    }
}

impl IntoValue for bool {
    fn into_value(self, _: &mut Scope<'_>) -> Made {
        Ok(Value::bool(self))
    }
}
impl FromValue for bool {
    fn expected() -> String {
        "a bool".into()
    }
    fn from_value(value: Value, scope: &mut Scope<'_>) -> Result<bool, Refused> {
        match value {
            Value::TRUE => Ok(true),
            Value::FALSE => Ok(false),
            _ => Err(mismatch::<bool>(value, scope)),
        }
    }
}

impl IntoValue for () {
    fn into_value(self, _: &mut Scope<'_>) -> Made {
        Ok(Value::NIL)
    }
}
impl FromValue for () {
    fn expected() -> String {
        "anything".into()
    }
    fn from_value(_: Value, _: &mut Scope<'_>) -> Result<(), Refused> {
        Ok(())
    }
}

impl IntoValue for &str {
    fn into_value(self, scope: &mut Scope<'_>) -> Made {
        scope.0.reserve(self.len())?;
        Ok(scope.0.str(self))
    }
}
impl IntoValue for String {
    fn into_value(self, scope: &mut Scope<'_>) -> Made {
        self.as_str().into_value(scope)
    }
}
impl FromValue for String {
    fn expected() -> String {
        "a string".into()
    }
    fn from_value(value: Value, scope: &mut Scope<'_>) -> Result<String, Refused> {
        match scope.0.as_str(value) {
            Some(text) => Ok(text.to_string()),
            None => Err(mismatch::<String>(value, scope)),
        }
    }
}

impl IntoValue for Duration {
    fn into_value(self, scope: &mut Scope<'_>) -> Made {
        match i64::try_from(self.as_nanos()) {
            Ok(ns) => Ok(scope.0.duration(ns)),
            Err(_) => Err(Refused::Message(format!(
                "{self:?} is too long for a duration"
            ))),
        }
    }
}
impl FromValue for Duration {
    fn expected() -> String {
        "a duration that is not negative".into()
    }
    fn from_value(value: Value, scope: &mut Scope<'_>) -> Result<Duration, Refused> {
        match scope.0.as_duration(value).map(u64::try_from) {
            Some(Ok(ns)) => Ok(Duration::from_nanos(ns)),
            _ => Err(mismatch::<Duration>(value, scope)),
        }
    }
}

impl<T: IntoValue> IntoValue for Option<T> {
    fn into_value(self, scope: &mut Scope<'_>) -> Made {
        match self {
            Some(value) => value.into_value(scope),
            None => Ok(Value::NIL),
        }
    }
}
impl<T: FromValue> FromValue for Option<T> {
    const IS_OPTIONAL: bool = true;
    fn expected() -> String {
        format!("{} or nil", T::expected())
    }
    fn from_value(value: Value, scope: &mut Scope<'_>) -> Result<Option<T>, Refused> {
        if value.is_nil() || value.is_unset() {
            return Ok(None);
        }
        T::from_value(value, scope).map(Some)
    }
}

/// The values of some elements.
fn values<T: IntoValue>(
    items: impl IntoIterator<Item = T>,
    scope: &mut Scope<'_>,
) -> Result<Vec<Value>, Refused> {
    items
        .into_iter()
        .map(|item| item.into_value(scope))
        .collect()
}
impl<T: IntoValue> IntoValue for Vec<T> {
    fn into_value(self, scope: &mut Scope<'_>) -> Made {
        let items = values(self, scope)?;
        Ok(scope.0.list(&items)?)
    }
}
impl<T: IntoValue + Clone> IntoValue for &[T] {
    fn into_value(self, scope: &mut Scope<'_>) -> Made {
        let items = values(self.iter().cloned(), scope)?;
        Ok(scope.0.list(&items)?)
    }
}
impl<T: IntoValue, const N: usize> IntoValue for [T; N] {
    fn into_value(self, scope: &mut Scope<'_>) -> Made {
        let items = values(self, scope)?;
        Ok(scope.0.list(&items)?)
    }
}
impl<T: FromValue> FromValue for Vec<T> {
    fn expected() -> String {
        "a list".into()
    }
    fn from_value(value: Value, scope: &mut Scope<'_>) -> Result<Vec<T>, Refused> {
        let items = match scope.0.as_list(value).or_else(|| scope.0.as_tuple(value)) {
            Some(items) => items,
            None => return Err(mismatch::<Vec<T>>(value, scope)),
        };
        let mut out = Vec::with_capacity(items.len());
        for (i, item) in items.iter().enumerate() {
            out.push(T::from_value(*item, scope).map_err(|e| inside(&format!("[{i}]"), e))?);
        }
        Ok(out)
    }
}

/// Says where in a container something is wrong.
fn inside(place: &str, refused: Refused) -> Refused {
    match refused {
        Refused::Message(message) => Refused::Message(format!("at {place}: {message}")),
        other => other,
    }
}

macro_rules! maps {
    ($($map:ident: $($bound:path),*;)*) => {$(
        impl<K: IntoValue, T: IntoValue> IntoValue for $map<K, T> {
            fn into_value(self, scope: &mut Scope<'_>) -> Made {
                let map = scope.0.map()?;
                for (key, value) in self {
                    let (key, value) = (key.into_value(scope)?, value.into_value(scope)?);
                    scope.0.map_set(map, key, value)?;
                }
                Ok(map)
            }
        }
        impl<K: FromValue $(+ $bound)*, T: FromValue> FromValue for $map<K, T> {
            fn expected() -> String {
                "a map".into()
            }
            fn from_value(value: Value, scope: &mut Scope<'_>) -> Result<$map<K, T>, Refused> {
                if !value.is_kind(Kind::Map) {
                    return Err(mismatch::<$map<K, T>>(value, scope));
                }
                let mut out = $map::new();
                let mut position = 0;
                while let Some((at, entry)) = ops::map::next_entry(value, position) {
                    position = at + 1;
                    let place = scope.0.repr_short(entry.key);
                    let key = K::from_value(entry.key, scope).map_err(|e| inside(&place, e))?;
                    let value = T::from_value(entry.value, scope).map_err(|e| inside(&place, e))?;
                    out.insert(key, value);
                }
                Ok(out)
            }
        }
    )*};
}
maps! {
    BTreeMap: Ord;
    HashMap: Eq, Hash;
}

impl IntoValue for &Handle {
    fn into_value(self, scope: &mut Scope<'_>) -> Made {
        match scope.0.thread().held(&self.0) {
            Some(value) => Ok(value),
            None => Err(Refused::Message(
                "the handle belongs to another engine".into(),
            )),
        }
    }
}
impl IntoValue for Handle {
    fn into_value(self, scope: &mut Scope<'_>) -> Made {
        (&self).into_value(scope)
    }
}
impl FromValue for Handle {
    fn expected() -> String {
        "a value".into()
    }
    fn from_value(value: Value, scope: &mut Scope<'_>) -> Result<Handle, Refused> {
        Ok(Handle::new(scope.0.thread(), value))
    }
}

/// Arguments of a call: a tuple of up to eight, `()` for none.
pub trait IntoArgs {
    #[doc(hidden)]
    fn into_args(self, scope: &mut Scope<'_>) -> Result<Vec<Value>, Refused>;
}
impl IntoArgs for () {
    fn into_args(self, _: &mut Scope<'_>) -> Result<Vec<Value>, Refused> {
        Ok(Vec::new())
    }
}

macro_rules! tuples {
    ($($name:ident)+) => {
        impl<$($name: IntoValue),+> IntoArgs for ($($name,)+) {
            #[expect(non_snake_case, reason = "one name for type and value")]
            fn into_args(self, scope: &mut Scope<'_>) -> Result<Vec<Value>, Refused> {
                let ($($name,)+) = self;
                Ok(vec![$($name.into_value(scope)?),+])
            }
        }
        impl<$($name: IntoValue),+> IntoValue for ($($name,)+) {
            fn into_value(self, scope: &mut Scope<'_>) -> Made {
                let items = self.into_args(scope)?;
                Ok(scope.0.tuple(&items)?)
            }
        }
        impl<$($name: FromValue),+> FromValue for ($($name,)+) {
            fn expected() -> String {
                format!("a tuple of {}", [$(stringify!($name)),+].len())
            }
            fn from_value(value: Value, scope: &mut Scope<'_>) -> Result<Self, Refused> {
                let items = match scope.0.as_tuple(value).or_else(|| scope.0.as_list(value)) {
                    Some(items) if items.len() == [$(stringify!($name)),+].len() => items,
                    _ => return Err(mismatch::<Self>(value, scope)),
                };
                let mut items = items.iter();
                Ok(($($name::from_value(*items.next().expect("counted"), scope)?,)+))
            }
        }
    };
}
tuples!(A);
tuples!(A B);
tuples!(A B C);
tuples!(A B C D);
tuples!(A B C D E);
tuples!(A B C D E F);
tuples!(A B C D E F G);
tuples!(A B C D E F G H);
