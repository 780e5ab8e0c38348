//! Enums that travel as one byte with explicit numbers.
//!
//! A derived serde enum would be numbered by the order of its variants and refuse a value that it does
//! not know. These have their numbers in the source, and every value that a newer version may add reads
//! as one that this version has.

/// Defines such an enum: `Variant = number => "kebab-case name"`, and the value that unknown numbers
/// stand for.
macro_rules! wire_enum {
    (
        $(#[$meta:meta])*
        pub enum $name:ident {
            $($(#[$variant_meta:meta])* $variant:ident = $number:literal => $text:literal,)+
        }
        unknown => $unknown:ident
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum $name {
            $($(#[$variant_meta])* $variant = $number,)+
        }

        impl $name {
            /// Every value, in the order of the numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The name in kebab-case, as it appears on D-Bus and in logs.
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => $text,)+
                }
            }

            /// The number on the wire.
            pub(crate) const fn number(self) -> u8 {
                self as u8
            }

            /// The value with that number on the wire.
            pub(crate) const fn from_number(number: u8) -> Self {
                match number {
                    $($number => Self::$variant,)+
                    _ => Self::$unknown,
                }
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_u8(self.number())
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                <u8 as serde::Deserialize>::deserialize(deserializer).map(Self::from_number)
            }
        }
    };
}

pub(crate) use wire_enum;
