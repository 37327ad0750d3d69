{{ stage_responses('clarifai') }}
