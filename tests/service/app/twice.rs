//! Handlers that get in each other's way.

use minos::prelude::*;

#[command("Same", POST "/same")]
async fn first() {}

#[query("Same", POST "/same")]
async fn second() {}

#[event("NoSuchThingCreated")]
async fn waits_for_ever(_cx: &mut Context) {}

#[event("OrderUpdated.address.create")]
async fn no_set(_cx: &mut Context) {}

const _: () = {
    #[command("Here")]
    async fn same() {}
};

const _: () = {
    #[command("There")]
    async fn same() {}
};

#[aggregate]
pub struct Lamp {
    pub lit: bool,
}

pub mod elsewhere {
    use minos::prelude::*;

    #[aggregate(name = "Lamp")]
    pub struct Light {
        pub lit: bool,
    }

    #[aggregate]
    impl Light {
        #[event("LampLit")]
        fn light(&mut self) {
            self.lit = true;
        }

        #[event("LampDeleted")]
        fn delete(&mut self) {
            self.lit = false;
        }
    }

    pub mod still {
        use minos::prelude::*;

        #[aggregate]
        impl super::Light {
            #[event("LampLit")]
            fn light_again(&mut self) {
                self.lit = true;
            }
        }
    }
}
