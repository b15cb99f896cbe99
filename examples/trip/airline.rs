//! The service of flights.

use minos::prelude::*;

#[aggregate]
pub struct Flight {
    pub seats: u32,
    pub price: u32,
}

#[command("OpenFlight", POST "/flights")]
async fn open_flight(cx: &mut Context, input: Flight) -> Result<Uuid> {
    Ok(Flight::create(cx, input).await?.uuid())
}

#[query("GetFlight", GET "/flights/{uuid}")]
async fn get_flight(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Flight>> {
    Flight::get(cx, uuid).await
}

#[derive(Deserialize)]
pub struct Seat {
    flight: Uuid,
}

/// Answers the price.
#[command("BookSeat")]
async fn book_seat(cx: &mut Context, input: Seat) -> Result<u32> {
    let mut flight = Flight::get(cx, input.flight).await?;
    ensure!(flight.seats > 0, "the flight is full");
    flight.seats -= 1;
    flight.save(cx).await?;
    Ok(flight.price)
}

#[command("ReleaseSeat")]
async fn release_seat(cx: &mut Context, input: Seat) -> Result<()> {
    let mut flight = Flight::get(cx, input.flight).await?;
    flight.seats += 1;
    flight.save(cx).await
}

#[derive(Deserialize)]
pub struct SendTicket {
    flight: Uuid,
    receipt: Uuid,
}

#[command("SendTicket")]
async fn send_ticket(input: SendTicket) -> Result<String> {
    Ok(format!("{} / {}", input.flight.simple(), input.receipt.simple()))
}
