{{ stage_responses('google_vision') }}
