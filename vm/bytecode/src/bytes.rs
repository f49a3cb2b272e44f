//! Modules as bytes, without their source text. What is read is as little trusted as what a compiler hands over: `verify` checks it.

use crate::ModuleCode;

/// First of the bytes; to be raised when the meaning of what follows changes.
const FORMAT: u8 = 4;

/// Bytes that are no module of this version.
#[derive(Debug, PartialEq, Eq)]
pub struct NotAModule;

impl ModuleCode {
    /// The module as bytes, without `source`.
    ///
    /// ```
    /// use heddle_bytecode::ModuleCode;
    /// let module = ModuleCode { name: "main".into(), ..ModuleCode::default() };
    /// let bytes = module.to_bytes();
    /// assert_eq!(ModuleCode::from_bytes(&bytes).unwrap().name, "main");
    /// assert!(ModuleCode::from_bytes(&bytes[..1]).is_err());
    /// ```
    pub fn to_bytes(&self) -> Vec<u8> {
        let format = vec![FORMAT];
        postcard::to_extend(self, format).expect("data of plain types can be written to memory")
    }

    /// The module that `to_bytes` wrote, with an empty `source`.
    ///
    /// # Errors
    ///
    /// If the bytes are cut short or not a module of this version.
    pub fn from_bytes(bytes: &[u8]) -> Result<ModuleCode, NotAModule> {
        match bytes.split_first() {
            Some((&FORMAT, rest)) => postcard::from_bytes(rest).map_err(|_| NotAModule),
            _ => Err(NotAModule),
        }
    }
}
