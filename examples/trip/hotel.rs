//! The service of hotels.

use minos::prelude::*;

#[aggregate]
pub struct Hotel {
    pub rooms: u32,
    pub price: u32,
}

#[command("OpenHotel", POST "/hotels")]
async fn open_hotel(cx: &mut Context, input: Hotel) -> Result<Uuid> {
    Ok(Hotel::create(cx, input).await?.uuid())
}

#[query("GetHotel", GET "/hotels/{uuid}")]
async fn get_hotel(cx: &Context, Path(uuid): Path<Uuid>) -> Result<Root<Hotel>> {
    Hotel::get(cx, uuid).await
}

#[derive(Deserialize)]
pub struct BookRoom {
    hotel: Uuid,
    nights: u32,
}

/// Answers the price.
#[command("BookRoom")]
async fn book_room(cx: &mut Context, input: BookRoom) -> Result<u32> {
    let mut hotel = Hotel::get(cx, input.hotel).await?;
    ensure!(hotel.rooms > 0, "the hotel is full");
    hotel.rooms -= 1;
    hotel.save(cx).await?;
    Ok(hotel.price.saturating_mul(input.nights))
}

#[derive(Deserialize)]
pub struct ReleaseRoom {
    hotel: Uuid,
}

#[command("ReleaseRoom")]
async fn release_room(cx: &mut Context, input: ReleaseRoom) -> Result<()> {
    let mut hotel = Hotel::get(cx, input.hotel).await?;
    hotel.rooms += 1;
    hotel.save(cx).await
}
