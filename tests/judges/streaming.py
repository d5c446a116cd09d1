"""Reads the answers of a simulator of Mux with Mux's own library; prints what its models say, as JSON.

Arguments: the simulator's address, the token's id and secret. The library refuses an answer without a required field,
and a value that is none of an enumeration's."""

import json
import sys

import mux_python


def main(address: str, token_id: str, secret: str) -> None:
    settings = mux_python.Configuration()
    settings.host, settings.username, settings.password = address, token_id, secret
    client = mux_python.ApiClient(settings)
    streams, assets = mux_python.LiveStreamsApi(client), mux_python.AssetsApi(client)
    uploads = mux_python.DirectUploadsApi(client)
    wanted = mux_python.CreateAssetRequest(
        playback_policies=["signed"],
        passthrough="wsp_A/liv_B",
        static_renditions=[mux_python.CreateStaticRenditionRequest(resolution="highest")],
    )
    request = mux_python.CreateLiveStreamRequest(
        playback_policies=["signed"], passthrough="wsp_A/liv_B", latency_mode="reduced", new_asset_settings=wanted
    )
    made = streams.create_live_stream(request).data
    target = mux_python.CreateSimulcastTargetRequest(url="rtmp://live.example.com/app", stream_key="key")
    added = streams.create_live_stream_simulcast_target(made.id, target).data
    streams.disable_live_stream(made.id)
    disabled = streams.get_live_stream(made.id).data.status
    streams.enable_live_stream(made.id)
    key = streams.reset_stream_key(made.id).data.stream_key
    upload = uploads.create_direct_upload(
        mux_python.CreateUploadRequest(cors_origin="*", timeout=3600, new_asset_settings=wanted)
    ).data
    listed = [each.passthrough for each in streams.list_live_streams(limit=10).data]
    asset_ids = json.loads(sys.stdin.read() or "[]")
    read = [assets.get_asset(each).data for each in asset_ids]
    try:
        streams.get_live_stream("none")
        missing = 200
    except mux_python.ApiException as refused:
        missing = refused.status
    streams.delete_live_stream_simulcast_target(made.id, added.id)
    streams.delete_live_stream(made.id)
    policy = [each.policy for each in made.playback_ids]
    result = [made.status, policy, disabled, key != made.stream_key, upload.status, listed, missing]
    print(json.dumps([*result, [[each.status, each.static_renditions.files[0].name] for each in read]]))


if __name__ == "__main__":
    main(*sys.argv[1:])
