/// What became of a claim that a backend is to be told in a field.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Claimed {
    /// The token does not have it.
    Absent,
    /// What the field says: visible ASCII, with spaces between.
    Text(Box<str>),
    /// The texts of a list, each as the token has it.
    Texts(Box<[Box<str>]>),
    /// It is of another type than was said, too long, or no field can hold it.
    Unfit,
}
