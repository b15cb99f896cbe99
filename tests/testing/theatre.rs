//! A theatre in two services, of which [tests](super::whole) see the whole. The hall, which has the seats, is a third one, and not here.

use minos::prelude::*;

/// Asks the hall for seats.
#[message("Reserve", reply = u32)]
#[derive(Debug, Clone, PartialEq)]
pub struct Reserve {
    pub seats: u32,
}

/// Tells the hall that they are not needed.
#[message("GiveBack")]
#[derive(Debug, Clone, PartialEq)]
pub struct GiveBack {
    pub reservation: u32,
}

/// Tells the post to send tickets. Nobody here handles it.
#[message("PostTickets", key = booking)]
#[derive(Debug, Clone, PartialEq)]
pub struct PostTickets {
    pub booking: Uuid,
}

/// Asks the office to write to somebody.
#[message("Write", reply = u32)]
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    pub to: String,
}

/// Bookings of seats.
pub mod office {
    use super::*;

    #[aggregate]
    #[derive(Debug, Clone, PartialEq)]
    pub struct Booking {
        pub guest: String,
        pub seats: u32,
        pub reservation: Option<u32>,
    }

    #[derive(Deserialize)]
    pub struct Book {
        guest: String,
        seats: u32,
    }

    #[command("Book", POST "/bookings")]
    async fn book(cx: &mut Context, input: Book) -> Result<Uuid> {
        ensure!(input.seats > 0, "nobody books no seat");
        Ok(Booking::create(cx, Booking { guest: input.guest, seats: input.seats, reservation: None }).await?.uuid())
    }

    #[query("GetBooking", GET "/bookings/{uuid}")]
    async fn booking(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Booking>> {
        Booking::get(cx, uuid).await
    }

    #[command(PUT "/bookings/{uuid}/guest")]
    async fn rename(cx: &mut Context, Path(uuid): Path<Uuid>, guest: String) -> Result<()> {
        let mut booking = Booking::get(cx, uuid).await?;
        booking.guest = guest;
        booking.save(cx).await
    }

    #[command(POST "/panics")]
    async fn panics(_cx: &mut Context) -> Result<()> {
        panic!("as told")
    }

    /// One that cannot be posted to is one that nobody can handle, however often.
    #[event("BookingUpdated.guest")]
    async fn renamed(cx: &mut Context, event: BookingUpdated) -> Result<()> {
        ensure!(event.get::<String>("guest")?.as_deref() != Some("nobody"), "there is no such guest");
        if event.get::<String>("guest")?.as_deref() == Some("endless") {
            std::future::pending::<()>().await;
        }
        cx.send(PostTickets { booking: event.uuid() })
    }

    saga! {
        /// Has seats reserved, and notes it.
        pub Confirm { booking: Uuid, seats: u32 }

        remote reserve -> reservation: u32 {
            on_execute: |saga| Reserve { seats: saga.seats },
            on_failure: |saga| GiveBack { reservation: saga.reservation },
            timeout: "30s",
        }

        local note {
            on_execute: async |cx, saga| {
                let mut booking = Booking::get(cx, saga.booking).await?;
                ensure!(saga.reservation != 13, "nobody sits there");
                booking.reservation = Some(saga.reservation);
                booking.save(cx).await
            },
        }
    }

    #[command(POST "/bookings/{uuid}/confirm")]
    async fn confirm(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<u32> {
        let seats = Booking::get(cx, uuid).await?.seats;
        Ok(cx.run(Confirm { booking: uuid, seats }).await?.reservation)
    }

    #[command(POST "/bookings/{uuid}/confirm-later")]
    async fn confirm_later(cx: &mut Context, Path(uuid): Path<Uuid>) -> Result<Uuid> {
        let seats = Booking::get(cx, uuid).await?.seats;
        cx.start(Confirm { booking: uuid, seats }).await
    }

    #[query(GET "/free")]
    async fn free(cx: &Context) -> Result<u32> {
        cx.ask(Reserve { seats: 0 }).await
    }

    /// What was booked by whom.
    #[document]
    #[derive(Clone)]
    pub struct Guest {
        pub seats: u32,
    }

    #[projection]
    impl Guest {
        #[event("BookingCreated")]
        async fn booked(view: &mut View<Self>, event: BookingCreated) -> Result<()> {
            ensure!(event.guest != "unseen", "this one wants to be seen by nobody");
            let seats = view.get(&event.guest).await?.map_or(0, |guest: Guest| guest.seats) + event.seats;
            view.put(&event.guest, Guest { seats });
            Ok(())
        }
    }

    #[query(GET "/guests/{guest}")]
    async fn guest(cx: &Context, Path(guest): Path<String>) -> Result<Option<u32>> {
        Ok(Guest::get(cx, &guest).await?.map(|guest| guest.seats))
    }
}

/// Letters to guests.
pub mod letters {
    use super::{office::BookingCreated, *};

    #[aggregate]
    pub struct Letter {
        pub to: String,
        pub text: String,
    }

    #[event("BookingCreated")]
    async fn booked(cx: &mut Context, event: BookingCreated) -> Result<()> {
        Letter::create_as(cx, event.uuid(), Letter { to: event.guest.clone(), text: "welcome".to_owned() }).await.map(|_| ())
    }

    #[query(GET "/letters/{uuid}")]
    async fn letter(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Letter>> {
        Letter::get(cx, uuid).await
    }

    #[command("Write")]
    async fn write(cx: &mut Context, input: Write) -> Result<u32> {
        ensure!(!input.to.is_empty(), "a letter is to somebody");
        let letter = Letter::create(cx, Letter { to: input.to, text: "hello".to_owned() }).await?;
        Ok(u32::try_from(letter.text.len())?)
    }

    #[derive(Deserialize)]
    pub struct Prize {
        pub name: String,
    }

    /// Of a service of others.
    #[event("Lottery.PrizeDrawn")]
    async fn drawn(cx: &mut Context, event: Event<Prize>) -> Result<()> {
        Letter::create_as(cx, event.uuid(), Letter { to: event.name.clone(), text: "congratulations".to_owned() }).await.map(|_| ())
    }
}

/// What happens of its own accord.
pub mod clock {
    use super::*;
    use std::sync::{Arc, Mutex};

    #[derive(Default, Clone)]
    pub struct Struck(pub Arc<Mutex<Vec<String>>>);

    #[periodic("0 * * * *")]
    async fn every_hour(cx: &mut Context) -> Result<()> {
        let now = cx.now().to_string();
        cx.resource::<Struck>()?.0.lock().unwrap().push(now);
        Ok(())
    }
}

/// A clock that is broken.
pub mod broken_clock {
    use super::*;

    #[periodic("30 * * * *")]
    async fn every_half_hour(_cx: &mut Context) -> Result<()> {
        bail!("the spring is broken")
    }
}
