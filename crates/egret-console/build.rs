//! Builds again when the pages have changed, which the macro that embeds them cannot see.

fn main() {
    println!("cargo::rerun-if-changed=../../console/dist");
}
