//! The service of trips, which coordinates the saga.

use minos::prelude::*;

#[aggregate]
pub struct Trip {
    pub flight: Uuid,
    pub hotel: Uuid,
    pub receipt: Uuid,
    pub ticket: String,
    pub insurance: Option<Uuid>,
}

#[message("BookSeat", reply = u32)]
pub struct BookSeat {
    pub flight: Uuid,
}

#[message("ReleaseSeat")]
pub struct ReleaseSeat {
    pub flight: Uuid,
}

#[message("BookRoom", reply = u32)]
pub struct BookRoom {
    pub hotel: Uuid,
    pub nights: u32,
}

#[message("ReleaseRoom")]
pub struct ReleaseRoom {
    pub hotel: Uuid,
}

#[message("Insure", reply = Option<Uuid>)]
pub struct Insure {
    pub account: Uuid,
    pub value: u64,
}

#[message("CancelInsurance")]
pub struct CancelInsurance {
    pub insurance: Option<Uuid>,
}

#[message("Pay", reply = Uuid)]
pub struct Pay {
    pub account: Uuid,
    pub amount: u64,
}

#[message("SendTicket", reply = String)]
pub struct SendTicket {
    pub flight: Uuid,
    pub receipt: Uuid,
}

/// What is insured costs more than this.
const EXPENSIVE: u64 = 1_000;

saga! {
    /// Books a flight and a hotel, pays for both, and has the ticket sent.
    pub BookTrip { account: Uuid, flight: Uuid, hotel: Uuid, nights: u32 }

    parallel {
        remote book_seat -> seat: u32 {
            on_execute: |saga| BookSeat { flight: saga.flight },
            on_error:   |_saga, error| error.context("there is no seat"),
            on_failure: |saga| ReleaseSeat { flight: saga.flight },
            timeout: "10s",
        }
        remote book_room -> room: u32 {
            on_execute: |saga| BookRoom { hotel: saga.hotel, nights: saga.nights },
            on_error:   |_saga, error| error.context("there is no room"),
            on_failure: |saga| ReleaseRoom { hotel: saga.hotel },
            timeout: "10s",
        }
    }

    when |saga| price(saga.seat, saga.room) > EXPENSIVE {
        remote insure -> insurance: Option<Uuid> {
            on_execute: |saga| Insure { account: saga.account, value: price(saga.seat, saga.room) },
            on_failure: |saga| CancelInsurance { insurance: saga.insurance },
        }
    } otherwise {
        local do_not_insure -> insurance: Option<Uuid> {
            on_execute: async |_cx, _saga| Ok(None),
            on_failure: (),
        }
    }

    /// When this has succeeded, there is no way back.
    pivot remote pay -> receipt: Uuid {
        on_execute: |saga| Pay { account: saga.account, amount: price(saga.seat, saga.room) },
        timeout: "30s",
        retry: { attempts: 3, first_pause: "1s" },
    }

    retriable remote send_ticket -> ticket: String {
        on_execute: |saga| SendTicket { flight: saga.flight, receipt: saga.receipt },
    }

    retriable local note -> trip: Uuid {
        on_execute: async |cx, saga| {
            let trip = Trip {
                flight: saga.flight,
                hotel: saga.hotel,
                receipt: saga.receipt,
                ticket: saga.ticket.clone(),
                insurance: saga.insurance,
            };
            Ok(Trip::create(cx, trip).await?.uuid())
        },
    }
}

fn price(seat: u32, room: u32) -> u64 {
    u64::from(seat) + u64::from(room)
}

#[command("BookTrip", POST "/trips")]
async fn book_trip(cx: &mut Context, input: BookTrip) -> Result<Uuid> {
    Ok(cx.run(input).await?.trip)
}

#[query("GetTrip", GET "/trips/{uuid}")]
async fn get_trip(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Trip>> {
    Trip::get(cx, uuid).await
}
